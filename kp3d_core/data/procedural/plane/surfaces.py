"""The lifting surfaces and bodies of a plane as lofts."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.plane.parameters import PlaneShape
from kp3d_core.data.procedural.primitives import (
    FloatArray,
    Part,
    Points,
    Values,
    Vector,
    loft,
)

SIDES = 16
"""Corners of a fuselage's cross-section; the first half of the segments lies on the left."""

# Share of the chord behind the leading edge, share of the half thickness.
_PROFILE = np.array(
    [(0.35, 1.0), (0.08, 0.62), (0.0, 0.0), (0.08, -0.5), (0.35, -0.7), (1.0, -0.04), (1.0, 0.04),
     (0.7, 0.62)]
)  # fmt: skip

LEADING_EDGE = (1, 2)
"""Face groups of a wing's part on either side of its leading edge."""
UNDERSIDE = (3, 4)
"""Face groups of a wing's part that look down; of a fin's, the left ones behind its nose."""


def wing(leading_edge: Points, chords: Vector, thickness: float) -> Part:
    """Wing, tailplane or fin from its root to its tip.

    Args:
        leading_edge: positions along the leading edge, shape (n, 3), leading to the left or up.
        chords: depth along -x at each of them.
        thickness: of the profile, as a share of the chord.
    """
    edge = np.asarray(leading_edge, dtype=np.float64)
    chord = np.asarray(chords, dtype=np.float64)[:, None, None]
    outwards = np.diff(edge * np.array([0.0, 1.0, 1.0]), axis=0)
    outwards = outwards / np.linalg.norm(outwards, axis=1, keepdims=True)
    outwards = np.concatenate([outwards[:1], outwards[:-1] + outwards[1:], outwards[-1:]])
    outwards = outwards / np.linalg.norm(outwards, axis=1, keepdims=True)
    normal = np.cross([1.0, 0.0, 0.0], outwards)[:, None, :]
    back, up = _PROFILE[None, :, :1], 0.5 * thickness * _PROFILE[None, :, 1:]
    rings = edge[:, None, :] - chord * back * np.array([1.0, 0.0, 0.0]) + chord * up * normal
    return loft(rings)


def tip_point(leading_edge: Points, chords: Vector) -> FloatArray:
    """Middle of the outer edge of a wing, where `wing` closes it."""
    edge, back = np.asarray(leading_edge, dtype=np.float64)[-1], _PROFILE[:, 0].mean()
    return edge - np.array([back * float(np.asarray(chords)[-1]), 0.0, 0.0])


def hull(
    x: FloatArray,
    half_width: FloatArray,
    half_height: FloatArray,
    z: FloatArray,
    squareness: float = 2.0,
) -> Part:
    """Body of superellipse cross-sections at increasing x.

    Args:
        x: stations, shape (n,).
        half_width: at each station, positive.
        half_height: at each station, positive.
        z: height of the middle of each section.
        squareness: exponent of the superellipse; 2 gives ellipses, 4 rounded boxes.
    """
    angle = np.linspace(-np.pi / 2.0, 1.5 * np.pi, SIDES, endpoint=False)
    cosine, sine = np.cos(angle), np.sin(angle)
    power = 2.0 / squareness
    across = np.sign(cosine) * np.abs(np.round(cosine, 12)) ** power
    up = np.sign(sine) * np.abs(np.round(sine, 12)) ** power
    y = half_width[:, None] * across
    height = z[:, None] + half_height[:, None] * up
    return loft(np.stack(np.broadcast_arrays(x[:, None], y, height), axis=-1))


class Fuselage:
    """Body from the rear end to the nose, addressed by x."""

    def __init__(self, shape: PlaneShape) -> None:
        """Work out the profile of a shape."""
        self.shape = shape
        self.nose_x, self.tail_x = shape.length / 2.0, -shape.length / 2.0
        self.nose_end = 0.32 if shape.engines == "nose" else 0.0
        """Share of the cross-section left at the front end."""

    def size(self, x: Values) -> FloatArray:
        """Share of the full cross-section at x."""
        shape = self.shape
        ahead = np.clip((x - self.nose_x + shape.nose_length) / shape.nose_length, 0.0, 1.0)
        behind = np.clip((self.tail_x + shape.tail_length - x) / shape.tail_length, 0.0, 1.0)
        nose = np.maximum(1.0 - ahead**shape.nose_power, 0.0) ** (1.0 / shape.nose_power)
        nose = self.nose_end + (1.0 - self.nose_end) * nose
        tail = 1.0 - (1.0 - shape.tail_size) * (0.35 * behind + 0.65 * behind**2)
        return np.asarray(np.maximum(nose * tail, 0.04))

    def middle(self, x: Values) -> FloatArray:
        """Height of the middle of the cross-section at x."""
        shape = self.shape
        ahead = np.clip((x - self.nose_x + shape.nose_length) / shape.nose_length, 0.0, 1.0)
        behind = np.clip((self.tail_x + shape.tail_length - x) / shape.tail_length, 0.0, 1.0)
        drop = shape.nose_drop * ahead**2
        rise = shape.tail_rise * (0.35 * behind + 0.65 * behind**2)
        return np.asarray(shape.half_height * (rise - drop))

    def top(self, x: Values) -> FloatArray:
        """Height of the upper edge at x."""
        return np.asarray(self.middle(x) + self.shape.half_height * self.size(x))

    def bottom(self, x: Values) -> FloatArray:
        """Height of the lower edge at x."""
        return np.asarray(self.middle(x) - self.shape.half_height * self.size(x))

    def half_width(self, x: Values) -> FloatArray:
        """Half width at x."""
        return np.asarray(self.shape.half_width * self.size(x))

    def part(self) -> Part:
        """The closed body."""
        shape = self.shape
        nose = self.nose_x - shape.nose_length * np.array(
            [1.0, 0.8, 0.62, 0.45, 0.3, 0.18, 0.09, 0.03, 0.005]
        )
        tail = self.tail_x + shape.tail_length * np.array([0.0, 0.25, 0.5, 0.75, 1.0])
        middle = 0.5 * (tail[-1] + nose[0])
        x = np.unique(np.concatenate([tail, [middle] if middle < nose[0] else [], nose]))
        size = self.size(x)
        return hull(
            x, shape.half_width * size, shape.half_height * size, self.middle(x), shape.squareness
        )

    @property
    def nose(self) -> FloatArray:
        """Foremost point."""
        x = self.nose_x - 0.005 * self.shape.nose_length
        return np.array([x, 0.0, float(self.middle(x))])

    @property
    def tail(self) -> FloatArray:
        """Middle of the rear end."""
        return np.array([self.tail_x, 0.0, float(self.middle(self.tail_x))])
