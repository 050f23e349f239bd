"""The vessel of a mug: a solid of revolution with a hollow, its plan round, square or faceted."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.mug.parameters import MugShape
from kp3d_core.data.procedural.primitives import FloatArray, Part, Values, lathe

SEGMENTS = 36
OUTSIDE_LEFT, OUTSIDE_RIGHT, RIM, INSIDE, FOOT = range(5)
"""Face groups of `Vessel.part`; the outside has two, so that a print reads well on either side."""
_WALL_STEPS = 9


class Vessel:
    """The mug without its handle, standing on z = 0, its axis on the z axis."""

    def __init__(self, shape: MugShape) -> None:
        """Vessel of a shape."""
        self.shape = shape

    def radius(self, height: Values) -> FloatArray:
        """Outer radius of the round plan at a height [m]."""
        shape = self.shape
        t = np.clip((np.asarray(height) - shape.foot) / (shape.height - shape.foot), 0.0, 1.0)
        wall = shape.base_ratio + (1.0 - shape.base_ratio) * t**shape.curve
        wall = wall + shape.belly * np.sin(np.pi * t) + shape.lip * np.clip((t - 0.8) / 0.2, 0, 1)
        return np.asarray(shape.rim_radius * wall)

    def point(self, angle: float, height: float) -> FloatArray:
        """Position on the outside; angle 0 looks along +x, to the handle."""
        radius = float(self.radius(height) * self._plan(np.array(angle)))
        return np.array([radius * np.cos(angle), radius * np.sin(angle), height])

    def wall_x(self, y: FloatArray, z: FloatArray) -> FloatArray:
        """Where the middle of the wall is in front (x > 0), at positions across and up [m]."""
        outer = self.radius(z)
        x = np.sqrt(np.maximum(outer**2 - y**2, 0.0))
        # The factor of the plan changes little from one angle to the next: two rounds settle it.
        for _ in range(2):
            outer = self.radius(z) * self._plan(np.arctan2(y, x))
            x = np.sqrt(np.maximum(outer**2 - y**2, 0.0))
        return np.asarray(x - 0.5 * self.shape.wall)

    def part(self) -> Part:
        """The closed vessel."""
        shape = self.shape
        profile, bands = [(0.0, shape.foot)], [FOOT]
        foot = float(self.radius(0.0)) * (0.88 if shape.foot else 0.96)
        if shape.foot:
            profile += [(foot - 0.8 * shape.wall, shape.foot), (foot - 0.7 * shape.wall, 0.0)]
            bands += [FOOT, FOOT]
        profile.append((foot, 0.0))
        bands.append(FOOT)
        heights = np.linspace(max(shape.foot, 0.025 * shape.height), shape.height, _WALL_STEPS)
        bands += [OUTSIDE_LEFT] * (_WALL_STEPS - 1) + [RIM, RIM]
        outer = [(float(self.radius(z)), float(z)) for z in heights]
        outer[-1] = outer[-1][0], shape.height - 0.35 * shape.wall
        middle = outer[-1][0] - 0.5 * shape.wall, shape.height
        floor = shape.foot + shape.wall
        inner = [
            (max(float(self.radius(z)) - shape.wall, 0.3 * shape.rim_radius), float(z))
            for z in np.linspace(shape.height - 0.35 * shape.wall, floor + 0.1 * shape.height, 6)
        ]
        profile += [*outer, middle, *inner]
        bands += [INSIDE] * len(inner)
        profile += [(0.8 * inner[-1][0], floor + 0.02 * shape.height), (0.0, floor)]
        bands += [INSIDE]
        solid = lathe(profile, SEGMENTS)
        vertices = solid.vertices.copy()
        vertices[:, :2] *= self._plan(np.arctan2(vertices[:, 1], vertices[:, 0]))[:, None]
        groups = np.array(bands)[solid.groups]
        is_right = vertices[solid.faces].mean(axis=1)[:, 1] < 0.0
        groups[(groups == OUTSIDE_LEFT) & is_right] = OUTSIDE_RIGHT
        return Part(vertices, solid.faces, groups)

    def drink(self) -> Part:
        """A thin disc at the height to which the mug is filled."""
        shape = self.shape
        height = max(shape.fill * shape.height, shape.foot + 2.0 * shape.wall + 0.12 * shape.height)
        # Into the middle of the wall, so that no gap shows.
        radius = max(float(self.radius(height)) - 0.5 * shape.wall, 0.3 * shape.rim_radius)
        low = height - 0.3 * shape.wall
        disc = lathe([(0.0, low), (radius, low), (radius, height), (0.0, height)], SEGMENTS)
        vertices = disc.vertices.copy()
        vertices[:, :2] *= self._plan(np.arctan2(vertices[:, 1], vertices[:, 0]))[:, None]
        return Part(vertices, disc.faces, np.zeros_like(disc.groups))

    def _plan(self, angle: FloatArray) -> FloatArray:
        """Factor on the round radius in a direction, symmetric about the x axis."""
        shape = self.shape
        if shape.sides:
            step = 2.0 * np.pi / shape.sides
            off = (angle + np.pi / shape.sides) % step - np.pi / shape.sides
            return np.asarray((np.cos(np.pi / shape.sides) / np.cos(off)) ** 0.8)
        power = 2.0 + 4.0 * shape.squareness
        cosine, sine = np.abs(np.cos(angle)), np.abs(np.sin(angle))
        return np.asarray((cosine**power + sine**power) ** (-1.0 / power))
