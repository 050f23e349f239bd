"""Seat and back of a chair as curved sheets that parts are cut from."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.chair.parameters import ChairShape
from kp3d_core.data.procedural.primitives import (
    FloatArray,
    Part,
    Values,
    lattice_box,
    square_to_disc,
)


class Seat:
    """The seat, addressed by u from rear (-1) to front (1) and v from right (-1) to left (1)."""

    def __init__(self, shape: ChairShape) -> None:
        """Seat of a shape, its middle above the origin."""
        self.shape = shape

    def plan(self, u: Values, v: Values) -> tuple[FloatArray, FloatArray]:
        """Horizontal position x, y."""
        shape = self.shape
        u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
        round_u, round_v = square_to_disc(u, v)
        share = np.where(u > 0.0, shape.seat_round, shape.seat_rear_round)
        across = (1.0 - share) * v + share * round_v
        along = (1.0 - share) * u + share * round_u
        width = 1.0 - shape.seat_taper * 0.5 * (1.0 - along)
        x, y = 0.5 * shape.seat_depth * along, 0.5 * shape.seat_width * across * width
        return np.asarray(x), np.asarray(y)

    def rise(self, u: Values, v: Values) -> FloatArray:
        """Height of the upper side over its edge."""
        shape = self.shape
        pillow = shape.seat_bulge * (1.0 - np.abs(u) ** 3) * (1.0 - np.abs(v) ** 3)
        return np.asarray(pillow - shape.seat_fall * np.clip((u - 0.4) / 0.6, 0.0, 1.0) ** 2)

    def point(self, u: float, v: float) -> FloatArray:
        """Position on the upper side."""
        x, y = self.plan(u, v)
        return np.array([float(x), float(y), self.shape.seat_height + float(self.rise(u, v))])

    def part(self) -> Part:
        """The closed seat."""
        shape = self.shape
        return self.pad(shape.seat_height, shape.seat_thickness, 1.0, sheet=shape.kind == "shell")

    def pad(self, top: float, thickness: float, size: float, *, sheet: bool = False) -> Part:
        """Slab in the outline of the seat with rounded edges.

        Args:
            top: height of its upper side at the edge.
            thickness: at the edge.
            size: share of the seat that it covers.
            sheet: follow the upper side also below, as moulded plastic does.
        """
        axis = np.linspace(-1.0, 1.0, 10)
        u, v, w = np.meshgrid(axis, axis, np.array([-1.0, 0.0, 1.0]), indexing="ij")
        x, y = self.plan(u, v)
        edge = np.where(w == 0.0, 1.0, _edge(thickness))
        rise = self.rise(u, v)
        fall = -self.shape.seat_fall * np.clip((u - 0.4) / 0.6, 0.0, 1.0) ** 2
        below = rise if sheet else fall
        z = top + 0.5 * (w - 1.0) * thickness + np.where(w > 0.0, rise, below)
        return lattice_box(np.stack([size * edge * x, size * edge * y, z], axis=-1))

    def corner(self, u: int, v: int, top: float, thickness: float, size: float) -> FloatArray:
        """Corner of the upper side of a `pad`, one of its vertices."""
        share = size * _edge(thickness)
        x, y = self.plan(u, v)
        return np.array([share * float(x), share * float(y), top + float(self.rise(u, v))])


def _edge(thickness: float) -> float:
    """Share of its plan that the upper side of a pad keeps; thick ones are rounder."""
    return 1.0 - 0.06 * (1.0 - float(np.exp(-thickness / 0.05)))


class Backrest:
    """The back, addressed by s from right (-1) to left (1) and t from the seat (0) to the top."""

    def __init__(self, shape: ChairShape, seat: Seat) -> None:
        """Back of a shape, standing at the rear end of the seat."""
        self.shape = shape
        self.foot = seat.point(-1.0, 0.0) + np.array([0.015, 0.0, 0.0])
        self.foot[2] = shape.seat_height

    def point(self, s: Values, t: Values, ahead: Values = 0.0) -> FloatArray:
        """Position on the back, or `ahead` of it towards the sitter [m]."""
        shape = self.shape
        s, t, ahead = np.broadcast_arrays(
            *(np.asarray(value, dtype=np.float64) for value in (s, t, ahead))
        )
        up = shape.back_height * t
        lean = shape.back_lean
        # The back curves: upright at the seat, leaning by more than the mean at the top.
        x = self.foot[0] - lean * up * (0.55 + 0.45 * t) + shape.back_bow * s**2 + ahead
        y = s * 0.5 * shape.back_width * (1.0 + shape.back_flare * t)
        z = self.foot[2] + up + shape.back_crest * (1.0 - s**2) * np.clip(t, 0.0, 1.0) ** 3
        return np.stack([x, y, z + 0.6 * lean * ahead], axis=-1)

    def panel(
        self,
        s: tuple[float, float],
        t: tuple[float, float],
        thickness: float,
        *,
        roundness: float = 0.0,
        soft: float = 0.0,
        steps: tuple[int, int] = (6, 3),
    ) -> Part:
        """Plate cut out of the back.

        Args:
            s: extent across.
            t: extent upwards.
            thickness: in the middle [m].
            roundness: 0 keeps the corners, 1 makes an ellipse.
            soft: share of the thickness lost towards the edge.
            steps: lattice steps across and upwards.
        """
        layers = np.array([-1.0, 0.0, 1.0]) if soft else np.array([-1.0, 1.0])
        w, a, b = np.meshgrid(
            layers, np.linspace(-1, 1, steps[0] + 1), np.linspace(-1, 1, steps[1] + 1),
            indexing="ij",
        )  # fmt: skip
        disc = square_to_disc(a, b)
        edge = np.maximum(np.abs(a), np.abs(b)) ** 4
        a, b = ((1.0 - roundness) * q + roundness * d for q, d in zip((a, b), disc, strict=True))
        ahead = 0.5 * thickness * w * (1.0 - soft * edge)
        across = 0.5 * (s[0] + s[1]) + 0.5 * (s[1] - s[0]) * a
        up = 0.5 * (t[0] + t[1]) + 0.5 * (t[1] - t[0]) * b
        return lattice_box(self.point(across, up, ahead))
