"""What a chair stands on: legs, a star on castors, sled and cantilever tubes, a pedestal."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.chair.body import Seat
from kp3d_core.data.procedural.chair.finish import Finish
from kp3d_core.data.procedural.chair.parameters import ChairShape
from kp3d_core.data.procedural.primitives import (
    Z_TO_Y,
    FloatArray,
    MeshBuilder,
    box,
    lathe,
    plain,
    rounded_path,
    tube,
)

_X, _Y, _Z = np.eye(3)
_CORNERS = {
    "front_left": (1, 1),
    "front_right": (1, -1),
    "back_left": (-1, 1),
    "back_right": (-1, -1),
}
Feet = dict[str, FloatArray]
"""Landmarks on the floor by corner."""


class BaseBuilder:
    """Adds the base of one chair to its mesh."""

    def __init__(
        self,
        builder: MeshBuilder,
        shape: ChairShape,
        seat: Seat,
        frame: Finish,
        rng: np.random.Generator,
    ) -> None:
        """Take over the finish of the frame."""
        self.builder, self.shape, self.seat, self.frame, self.rng = builder, shape, seat, frame, rng
        self.under = shape.seat_height - shape.seat_thickness
        if shape.kind == "shell":  # moulded, so its underside is lowest in the middle
            self.under += 0.8 * shape.seat_bulge
        self.sides = 4 if shape.square_rods else 8
        self.dark = plain("rubber", np.full(3, rng.uniform(0.04, 0.2)))

    def add(self) -> Feet:
        """Add it; returns where it stands."""
        return {
            "legs": self._legs,
            "star": self._star,
            "sled": self._sled,
            "cantilever": self._cantilever,
            "pedestal": self._pedestal,
        }[self.shape.base]()

    def rod(self, ends: list[FloatArray], half: float, across: FloatArray = _Y) -> None:
        """Straight rail."""
        direction = ends[-1] - ends[0]
        if abs(direction @ across) > 0.9 * np.linalg.norm(direction):
            across = _X
        self.builder.add(tube(ends, half, self.sides, across=across), self.frame.rod(direction))

    def _legs(self) -> Feet:
        shape = self.shape
        heads, feet = {}, {}
        for name, (u, v) in _CORNERS.items():
            x, y = self.seat.plan(0.98 * u, 0.98 * v)
            head = np.array([float(x) * shape.inset, float(y) * shape.inset, self.under + 0.008])
            if shape.kind == "shell":
                head[2] -= 0.012
            away = np.array([float(u), float(v), 0.0]) * shape.splay
            away[0] *= 1.0 if u > 0 else 1.4  # rear legs lean more, against tipping over
            foot = head + away
            foot[2] = 0.0
            size = shape.rod * np.array([1.0, 1.0, shape.rod_taper])
            path = np.stack([head, head + 0.25 * (foot - head), foot])
            self.builder.add(tube(path, size, self.sides), self.frame.rod(_Z))
            heads[name], feet[name] = head, foot
        self._rails(heads, feet)
        return feet

    def _rails(self, heads: Feet, feet: Feet) -> None:
        """Apron under the seat, stretchers between the legs, or a foot rest in front."""
        shape = self.shape
        if shape.apron:
            loop = ["front_left", "back_left", "back_right", "front_right", "front_left"]
            for a, b in zip(loop[:-1], loop[1:], strict=True):
                ends = [heads[name] - [0.0, 0.0, 0.5 * shape.apron] for name in (a, b)]
                along = ends[1] - ends[0]
                across = _X if abs(along[1]) > abs(along[0]) else _Y
                board = np.array([[0.009, 0.5 * shape.apron]]).repeat(2, axis=0)
                part = tube(ends, board, 4, across=across)
                self.builder.add(part, self.frame.rod(along))

        def at(name: str, share: float) -> FloatArray:
            return feet[name] + share * (heads[name] - feet[name])

        half, level = 0.55 * shape.rod, float(self.rng.uniform(0.2, 0.5))
        if shape.stretchers in ("box", "H"):
            for side in ("left", "right"):
                self.rod([at(f"back_{side}", level), at(f"front_{side}", level)], half)
        if shape.stretchers == "box":
            high = level + float(self.rng.uniform(-0.08, 0.12))
            for end in ("front", "back"):
                self.rod([at(f"{end}_right", high), at(f"{end}_left", high)], half)
        elif shape.stretchers == "H":
            middle = [
                0.5 * (at(f"back_{side}", level) + at(f"front_{side}", level))
                for side in ("right", "left")
            ]
            self.rod(middle, half)
        elif shape.stretchers == "front":
            low = float(self.rng.uniform(0.25, 0.38))
            self.rod([at("front_right", low), at("front_left", low)], 0.8 * shape.rod)
            if self.rng.random() < 0.7:
                for side in ("left", "right"):
                    self.rod([at(f"back_{side}", low + 0.12), at(f"front_{side}", low + 0.12)],
                             half)  # fmt: skip

    def _column(self, low: float, radius: float) -> None:
        """Upright tube with a gas spring, and the plate that carries the seat."""
        high = self.under
        middle = low + float(self.rng.uniform(0.4, 0.6)) * (high - low)
        profile = [(0.0, low), (radius, low), (radius, middle), (0.55 * radius, middle + 0.005),
                   (0.55 * radius, high), (0.0, high)]  # fmt: skip
        self.builder.add(lathe(profile, 12), self.frame.rod(_Z))
        half = 0.28 * min(self.shape.seat_width, self.shape.seat_depth)
        if self.shape.kind != "stool":
            plate = box((-half, -0.7 * half, high - 0.035), (half, 0.7 * half, high + 0.004))
            self.builder.add(plate, self.dark)
            if self.rng.random() < 0.7:  # the lever that raises the seat
                lever = [
                    np.array([0.1, 0.0, high - 0.02]),
                    np.array([0.1, -2.1 * half, high - 0.02]),
                ]
                self.rod(lever, 0.006)

    def _star(self) -> Feet:
        """Five arms, each with a castor or a glider, turned by any angle."""
        shape = self.shape
        castors = shape.kind == "swivel" and self.rng.random() < 0.85
        drop = 0.062 if castors else 0.012
        hub = drop + float(self.rng.uniform(0.02, 0.06))
        self._column(drop, 0.028)
        start = float(self.rng.uniform(0.0, 2.0 * np.pi))
        angles: FloatArray = np.linspace(start, start + 2.0 * np.pi, 5, endpoint=False)
        tips: list[FloatArray] = []
        for angle in angles:
            out = np.array([np.cos(angle), np.sin(angle), 0.0])
            aside = np.array([-out[1], out[0], 0.0])
            reach = np.array([0.01, 0.5 * shape.base_radius, shape.base_radius])
            level = np.array([hub, hub - 0.004, drop + 0.004])
            path = reach[:, None] * out + level[:, None] * _Z
            half = np.array([[0.024, 0.02], [0.02, 0.015], [0.015, 0.009]])
            self.builder.add(tube(path, half, 4, across=aside), self.frame.rod(out))
            tips.append(path[-1])
            foot = shape.base_radius * 0.96 * out
            if not castors:
                glider = lathe([(0.0, 0.0), (0.015, 0.0), (0.015, drop), (0.0, drop)], 8)
                self.builder.add(glider.moved(foot), self.dark)
                continue
            turn = float(self.rng.uniform(0.0, 2.0 * np.pi))
            rotation = np.array([[np.cos(turn), -np.sin(turn), 0.0],
                                 [np.sin(turn), np.cos(turn), 0.0], [0.0, 0.0, 1.0]])  # fmt: skip
            wheel = lathe([(0.0, -0.019), (0.028, -0.019), (0.028, 0.019), (0.0, 0.019)], 10)
            center = foot + rotation @ np.array([0.014, 0.0, 0.0]) + 0.028 * _Z
            self.builder.add(wheel.moved(center, rotation @ Z_TO_Y), self.dark)
            pin = lathe([(0.0, 0.03), (0.008, 0.03), (0.008, 0.066), (0.0, 0.066)], 6)
            self.builder.add(pin.moved(foot), self.dark)
        return self._nearest(tips, angles)

    def _nearest(self, tips: list[FloatArray], angles: FloatArray) -> Feet:
        """The arm's end nearest to each diagonal; 72 degrees apart, no arm is nearest to two."""
        feet = {}
        for name, (u, v) in _CORNERS.items():
            off = angles - np.arctan2(v, u)
            feet[name] = tips[int(np.argmax(np.cos(off)))]
        return feet

    def _pedestal(self) -> Feet:
        """A disc or trumpet on the floor."""
        shape = self.shape
        r, trumpet = shape.base_radius, self.rng.random() < 0.4
        rise = 0.15 if trumpet else 0.02
        radii = np.array([0.0, r, 0.99 * r, 0.5 * r, 0.2 * r, 0.03, 0.0])
        levels = np.array([0.0, 0.0, 0.012, 0.02, 0.02, 0.05, 0.05])
        levels = levels + rise * np.array([0.0, 0.0, 0.0, 0.25, 0.7, 1.0, 1.0])
        profile = np.stack([radii, levels], axis=-1)
        self.builder.add(lathe(profile, 24), self.frame.rod(_Z))
        self._column(0.02, 0.026)
        if shape.stretchers == "front":
            z = float(self.rng.uniform(0.2, 0.3))
            reach = 0.8 * shape.seat_depth / 2.0
            wide = 0.7 * shape.seat_width / 2.0
            right = [(0.0, -0.015, z), (0.6 * reach, -wide, z), (reach, -wide, z)]
            left = [(x, -y, z) for x, y, _ in right[::-1]]
            loop = rounded_path(right + left, 0.05)
            self.builder.add(tube(loop, 0.01, 6, across=_Z), self.frame.rod(_Y))
        diagonal = r * np.sqrt(0.5)
        return {n: np.array([u * diagonal, v * diagonal, 0.0]) for n, (u, v) in _CORNERS.items()}

    def _side_path(self, side: int, points: list[tuple[float, float]], bend: float) -> FloatArray:
        """Bent tube in an upright plane at the side of the seat."""
        y = side * self.shape.inset * 0.5 * self.shape.seat_width
        return rounded_path([(x, y, z) for x, z in points], bend)

    def _sled(self) -> Feet:
        """Two runners, each one tube from the front of the seat over the floor to its rear."""
        shape, r = self.shape, self.shape.rod
        half, high = 0.5 * shape.seat_depth, self.under - r
        front, rear = half * shape.inset + 0.5 * shape.splay, -half * shape.inset - shape.splay
        bend = float(self.rng.uniform(0.04, 0.09))
        points = [(0.1 * half, high), (half * shape.inset, high), (front, r), (rear, r),
                  (-half * shape.inset, high), (-0.1 * half, high)]  # fmt: skip
        feet = {}
        for side, name in ((1, "left"), (-1, "right")):
            path = self._side_path(side, points, bend)
            self.builder.add(tube(path, r, 8), self.frame.rod(_X))
            y = float(path[0, 1])
            feet[f"front_{name}"] = np.array([front - bend, y, 0.0])
            feet[f"back_{name}"] = np.array([rear + bend, y, 0.0])
        for x, z in ((0.6 * half, high), (-0.6 * half, high), (rear + bend, r)):
            y = shape.inset * 0.5 * shape.seat_width
            self.rod([np.array([x, -y, z]), np.array([x, y, z])], 0.8 * r)
        if shape.stretchers == "front":
            share = 0.3
            x = front + share * (half * shape.inset - front)
            self.rod([np.array([x, -y, share * high]), np.array([x, y, share * high])], r)
        return {name: feet[name] for name in _CORNERS}

    def _cantilever(self) -> Feet:
        """One tube a side: along the seat, down in front and back over the floor."""
        shape, r = self.shape, self.shape.rod
        half, high = 0.5 * shape.seat_depth, self.under - 0.4 * r
        front, rear = half + 0.3 * shape.splay, -half - shape.splay
        bend = float(self.rng.uniform(0.05, 0.1))
        points = [(-half - 0.01, high), (half, high), (front, r), (rear, r)]
        feet = {}
        for side, name in ((1, "left"), (-1, "right")):
            path = self._side_path(side, points, bend)
            self.builder.add(tube(path, r, 8), self.frame.rod(_X))
            feet[f"front_{name}"] = np.array([front - bend, path[0, 1], 0.0])
            feet[f"back_{name}"] = path[-1]
        y = float(abs(path[0, 1]))
        for x, z in ((rear + 0.02, r), (-0.7 * half, high)):
            self.rod([np.array([x, -y, z]), np.array([x, y, z])], 0.95 * r)
        return {name: feet[name] for name in _CORNERS}
