"""Slat, spindle, ladder, solid, padded, round, hoop and net backs."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.chair.body import Backrest
from kp3d_core.data.procedural.chair.finish import Finish, make_finish
from kp3d_core.data.procedural.chair.parameters import ChairShape, ChairStyle
from kp3d_core.data.procedural.primitives import FloatArray, MeshBuilder, plain, tube

_Z = np.array([0.0, 0.0, 1.0])
_SOFT = 0.5


class BackBuilder:
    """Adds the back of one chair to its mesh."""

    def __init__(
        self,
        builder: MeshBuilder,
        shape: ChairShape,
        style: ChairStyle,
        backrest: Backrest,
        frame: Finish,
        panel: Finish,
        rng: np.random.Generator,
    ) -> None:
        """Take over the finishes of frame and panel."""
        self.builder, self.shape, self.style = builder, shape, style
        self.backrest, self.frame, self.finish, self.rng = backrest, frame, panel, rng
        self.sides = 4 if shape.square_rods else 8
        thick = shape.back_thickness
        self.rail = max(thick, 1.2 * shape.rod) if style.frame == "wood" else thick

    def add(self) -> tuple[FloatArray, FloatArray]:
        """Add it; returns its upper left and upper right corner."""
        return {
            "slat": self._slats,
            "spindle": self._slats,
            "ladder": self._ladder,
            "hoop": self._hoop,
            "round": self._round,
            "net": self._panel,
            "solid": self._panel,
            "padded": self._panel,
        }[self.shape.back]()

    def post(
        self, s: float, low: float, high: float, size: float = 0.0, ahead: float = 0.0
    ) -> None:
        """Rod up the back, of another size than the legs' if one is given."""
        t = np.linspace(low, high, 5)
        half = (size or self.shape.rod) * np.linspace(1.0, 0.85, 5)
        path = self.backrest.point(np.full(5, s), t, ahead)
        self.builder.add(tube(path, half, self.sides), self.frame.rod(_Z))

    def _posts(self, top: float = 1.0) -> tuple[FloatArray, FloatArray]:
        """Two posts at the sides, whose tops are the corners."""
        for s in (1.0, -1.0):
            self.post(s, -0.12, top)
        return self.backrest.point(1.0, top), self.backrest.point(-1.0, top)

    def _rail(self, low: float, high: float) -> None:
        """Board from post to post."""
        part = self.backrest.panel((-1.0, 1.0), (low, high), self.rail, steps=(8, 1))
        self.builder.add(part, self.frame.crosswise())

    def _slats(self) -> tuple[FloatArray, FloatArray]:
        """Upright slats or spindles between two rails."""
        shape = self.shape
        corners = self._posts()
        low = shape.back_gap
        top = float(self.rng.uniform(0.8, 0.9))
        self._rail(top, 1.0)
        self._rail(low, low + 0.1)
        n = shape.back_bars
        wide = float(self.rng.uniform(0.3, 0.65)) / n
        for s in np.linspace(-1.0, 1.0, n + 2)[1:-1]:
            if shape.back == "spindle":
                self.post(float(s), low + 0.05, top + 0.05, 0.4 * shape.rod + 0.002)
                continue
            part = self.backrest.panel((s - wide, s + wide), (low + 0.05, top + 0.05),
                                       0.6 * self.rail, steps=(1, 3))  # fmt: skip
            self.builder.add(part, self.frame.upright())
        return corners

    def _ladder(self) -> tuple[FloatArray, FloatArray]:
        """Boards across, one above the other."""
        n = self.shape.back_bars
        corners = self._posts()
        share = float(self.rng.uniform(0.35, 0.65))
        pitch = (1.0 - self.shape.back_gap) / n
        for k in range(n):
            high = 1.0 - k * pitch
            self._rail(high - share * pitch, high)
        return corners

    def _hoop(self) -> tuple[FloatArray, FloatArray]:
        """A bent bow with spindles, as on Windsor chairs."""
        shape = self.shape
        angle = np.linspace(0.0, np.pi, 15)
        s, t = np.cos(angle), np.sin(angle) ** 0.75
        t[[0, -1]] = -0.06
        path = self.backrest.point(s * (0.9 + 0.1 * np.sin(angle)), t)
        self.builder.add(tube(path, 0.9 * shape.rod, 8, across=(1.0, 0.0, 0.0)),
                         self.frame.rod(_Z))  # fmt: skip
        n = shape.back_bars + 1
        for place in np.linspace(-0.78, 0.78, n):
            reach = float(np.interp(abs(place), s[7::-1], t[7::-1]))
            self.post(float(place), -0.05, reach, 0.35 * shape.rod + 0.002)
        return path[4], path[-5]

    def _round(self) -> tuple[FloatArray, FloatArray]:
        """A padded medallion on two posts."""
        shape = self.shape
        for s in (0.55, -0.55):
            self.post(s, -0.12, 0.45)
        low = max(shape.back_gap, 0.1)
        ring = self.backrest.panel((-1.0, 1.0), (low, 1.0), 1.3 * shape.rod, roundness=1.0,
                                   steps=(8, 8))  # fmt: skip
        self.builder.add(ring, self.frame.upright())
        inner = self.backrest.panel((-0.84, 0.84), (low + 0.07, 0.93), 2.0 * shape.rod + 0.02,
                                    roundness=1.0, soft=0.6, steps=(6, 6))  # fmt: skip
        self.builder.add(inner, self.finish.upright())
        return self._corners(low, 1.3 * shape.rod, 1.0, 0.0)

    def _corners(
        self, low: float, thickness: float, roundness: float, soft: float
    ) -> tuple[FloatArray, FloatArray]:
        """Upper corners of a panel's front side."""
        share = 1.0 - roundness + roundness * np.sqrt(0.5)
        t = 0.5 * (low + 1.0) + 0.5 * (1.0 - low) * share
        # `Backrest.panel` thins its edge before it rounds the corners.
        ahead = 0.5 * thickness * (1.0 - soft)
        left, right = (self.backrest.point(s * share, t, ahead) for s in (1.0, -1.0))
        return left, right

    def _panel(self) -> tuple[FloatArray, FloatArray]:
        """Board, moulded plastic, upholstery, or a net in a frame."""
        shape, style = self.shape, self.style
        soft = _SOFT if shape.back == "padded" else 0.0
        low = shape.back_gap
        thick = shape.back_thickness
        if shape.kind != "shell" and shape.kind != "armchair":
            wide = 0.7 if shape.kind == "swivel" else 0.86
            behind = wide if shape.back_round < 0.3 else 0.75 * wide
            if shape.kind == "swivel":
                self._spine()
            else:
                for s in (behind, -behind):
                    self.post(
                        s,
                        -0.12,
                        0.88 if shape.back_round < 0.3 else 0.7,
                        ahead=-0.35 * thick - 0.7 * shape.rod,
                    )
        n = 8 if shape.back_bow > 0.02 or shape.back_round > 0.2 else 5
        part = self.backrest.panel((-1.0, 1.0), (low, 1.0), thick, roundness=shape.back_round,
                                   soft=soft, steps=(n, 6))  # fmt: skip
        if shape.back == "net":
            self.builder.add(part, self.frame.upright())
            color = style.back_color if style.back_color.mean() < 0.6 else style.seat_color
            net = make_finish("net", color, self.rng)
            inner = self.backrest.panel((-0.86, 0.86), (low + 0.06, 0.94), thick + 0.012,
                                        roundness=shape.back_round, steps=(n, 4))  # fmt: skip
            self.builder.add(inner, net.upright())
        else:
            grain = self.finish.upright() if self.rng.random() < 0.5 else self.finish.crosswise()
            self.builder.add(part, grain)
        if style.label:
            tag = self.backrest.panel((-0.18, 0.18), (0.82, 0.9), thick + 0.006, steps=(2, 1))
            self.builder.add(tag, plain("label", style.second_color))
        if shape.headrest:
            rest = self.backrest.panel((-0.45, 0.45), (1.06, 1.06 + 0.13 / shape.back_height),
                                       0.06, roundness=0.4, soft=_SOFT, steps=(6, 4))  # fmt: skip
            self.builder.add(rest, self.finish.upright())
            for s in (0.12, -0.12):
                self.post(s, 0.9, 1.1, 0.008)
        return self._corners(low, thick, shape.back_round, soft)

    def _spine(self) -> None:
        """Bracket from below the seat up behind the back of a swivel chair."""
        shape = self.shape
        t = np.linspace(-0.02, 0.55, 4)
        up = self.backrest.point(np.zeros(4), t, -0.5 * shape.back_thickness - 0.012)
        under = up[0] * np.array([1.0, 1.0, 0.0])
        under[2] = shape.seat_height - shape.seat_thickness - 0.02
        start = np.array([0.0, 0.0, under[2]])
        path = np.concatenate([[start], [under], up[1:]])
        size = np.array([[0.035, 0.012]])
        self.builder.add(tube(path, np.repeat(size, 5, axis=0), 4), self.frame.rod(_Z))
