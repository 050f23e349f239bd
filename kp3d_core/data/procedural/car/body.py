"""The lower body and the cabin of a car as two deformed lattice boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.procedural.car.parameters import CarShape
from kp3d_core.data.procedural.primitives import FloatArray, Part, Values, lattice_box

_ROW_SHARES = np.array([0.0, 0.25, 0.55, 0.82, 1.0])
_COLUMNS = np.array([-1.0, -0.92, -0.6, 0.0, 0.6, 0.92, 1.0])
_BED_COLUMNS = np.array([-1.0, -0.92, -0.88, -0.86, 0.0, 0.86, 0.88, 0.92, 1.0])
_WING = 0.07  # least thickness of the body over a wheel arch [m]
_ARCH_ANGLES = np.radians([0.0, 25.0, 55.0, 90.0, 125.0, 155.0, 180.0])


class Body:
    """Everything below the belt line: bonnet, doors, boot or load bed, with open wheel arches.

    A point is addressed by x along the car, by its share of the half width (-1 right, 1 left) and
    by height. The two ends are then bowed and rounded by `_bent`.
    """

    def __init__(self, shape: CarShape) -> None:
        """Work out the profile lines of a shape."""
        self.shape = shape
        half = shape.length / 2.0
        nose_x = min(half - 0.02 * shape.length, shape.cowl_x + 0.8 * (half - shape.cowl_x))
        tail_x = max(-half + 0.02 * shape.length, shape.deck_x + 0.75 * (-half - shape.deck_x))
        tail_x = min(tail_x, shape.deck_x)
        self._top_x = np.array([-half, tail_x, shape.deck_x, shape.cowl_x, nose_x, half])
        self._top_z = np.array(
            [
                shape.tail_height - shape.tail_drop,
                shape.tail_height,
                shape.deck_height,
                shape.cowl_height,
                shape.nose_height + 0.25 * (shape.cowl_height - shape.nose_height),
                shape.nose_height - shape.nose_drop,
            ]
        )
        self.bed_x = (-half + 0.012 * shape.length, shape.deck_x - 0.02 * shape.length)
        if shape.open_top:
            self.bed_x = (shape.deck_x + 0.02 * shape.length, shape.cowl_x - 0.04 * shape.length)

    def middle_top(self, x: Values) -> FloatArray:
        """Height of bonnet, belt line and boot, without wings over the wheels."""
        return np.asarray(np.interp(x, self._top_x, self._top_z))

    def top(self, x: Values) -> FloatArray:
        """Height of the shoulder line, raised to wings where a wheel needs the room."""
        shape = self.shape
        top = self.middle_top(x)
        radius = shape.wheel_radius + shape.arch_gap + _WING
        for axle_x in (shape.front_axle_x, shape.rear_axle_x):
            wing = np.sqrt(np.maximum(radius**2 - (x - axle_x) ** 2, 0.0))
            top = np.maximum(top, (wing > 0.0) * (shape.wheel_radius + wing))
        return np.asarray(top)

    def bottom(self, x: Values) -> FloatArray:
        """Height of the lower edge: sill, wheel arches, and a slight rise towards the ends."""
        shape = self.shape
        half = shape.length / 2.0
        inner = np.maximum(half - np.abs(x), 0.0) / (0.12 * shape.length)
        bottom = shape.clearance + 0.25 * shape.clearance * np.clip(1.0 - inner, 0.0, 1.0)
        radius = shape.wheel_radius + shape.arch_gap
        for axle_x in (shape.front_axle_x, shape.rear_axle_x):
            reach = np.sqrt(np.maximum(radius**2 - (x - axle_x) ** 2, 0.0))
            inside = np.abs(x - axle_x) <= radius
            bottom = np.where(inside, np.maximum(bottom, shape.wheel_radius + reach), bottom)
        return np.asarray(np.minimum(bottom, self.top(x) - 0.6 * _WING))

    def plan(self, x: Values) -> FloatArray:
        """Share of the full width at x."""
        shape = self.shape
        half = shape.length / 2.0
        front = np.clip((x - 0.35 * half) / (0.65 * half), 0.0, 1.0) ** 2
        rear = np.clip((-x - 0.45 * half) / (0.55 * half), 0.0, 1.0) ** 2
        return np.asarray(1.0 - shape.front_taper * front - shape.rear_taper * rear)

    def half_width(self, x: Values, z: Values) -> FloatArray:
        """Half width at x and height z: widest at mid-height, tucked in above and below."""
        shape = self.shape
        share = (z - shape.clearance) / (shape.belt_height - shape.clearance)
        low = shape.tuck_low * np.clip((0.5 - share) / 0.5, 0.0, 1.2) ** 2
        high = shape.tuck_high * np.clip((share - 0.5) / 0.5, 0.0, 1.2) ** 2
        return np.asarray(shape.width / 2.0 * self.plan(x) * (1.0 - low - high))

    def point(self, x: Values, column: Values, z: Values) -> FloatArray:
        """Position of the surface point at x, share of the half width, and height."""
        y = np.asarray(column) * self.half_width(x, z)
        points = np.stack(np.broadcast_arrays(x, y, z), axis=-1).astype(np.float64)
        return self._bent(points, column)

    def _bent(self, points: FloatArray, column: Values) -> FloatArray:
        """Bow both ends in plan and round them in profile."""
        shape = self.shape
        half, reach = shape.length / 2.0, 0.16 * shape.length
        x, z = points[..., 0], points[..., 2]
        front = np.clip((x - half + reach) / reach, 0.0, 1.0) ** 2
        rear = np.clip((-x - half + reach) / reach, 0.0, 1.0) ** 2
        share_front = (z - shape.clearance) / (shape.nose_height - shape.clearance)
        share_rear = (z - shape.clearance) / (shape.tail_height - shape.clearance)
        back = front * (
            shape.front_bow * np.square(column)
            + shape.front_round * (share_front - 0.4) ** 2
            + shape.front_tilt * share_front
        )
        ahead = rear * (
            shape.rear_bow * np.square(column)
            + shape.rear_round * (share_rear - 0.4) ** 2
            + shape.rear_tilt * share_rear
        )
        return points + np.stack([ahead - back, np.zeros_like(x), np.zeros_like(x)], axis=-1)

    def end_point(self, sign: int, column: Values, z: Values) -> FloatArray:
        """Position on the front (sign +1) or rear (-1) face."""
        return self.point(sign * self.shape.length / 2.0, column, z)

    def stations(self) -> FloatArray:
        """Increasing x at which the body is sampled, with the wheel arches' edges among them."""
        shape = self.shape
        half, radius = shape.length / 2.0, shape.wheel_radius + shape.arch_gap
        fixed = [-half, half]
        for axle_x in (shape.front_axle_x, shape.rear_axle_x):
            fixed += list(axle_x + radius * np.cos(_ARCH_ANGLES))
            fixed += [axle_x - 1.03 * radius, axle_x + 1.03 * radius]
        if shape.bed_depth > 0.0:
            fixed += [x + dx for x in self.bed_x for dx in (-0.012, 0.012)]
        stations = [x for x in fixed if -half <= x <= half]
        optional = [*self._top_x, half - 0.04 * shape.length, 0.08 * shape.length - half]
        optional += list(np.linspace(shape.rear_axle_x, shape.front_axle_x, 5))
        for x in optional:
            if min(abs(x - known) for known in stations) > 0.012 * shape.length:
                stations.append(float(x))
        return np.unique(np.array(stations))

    def part(self) -> Part:
        """The closed body."""
        shape = self.shape
        x = self.stations()[:, None, None]
        column = (_BED_COLUMNS if shape.bed_depth > 0.0 else _COLUMNS)[None, :, None]
        share = _ROW_SHARES[None, None, :]
        bottom, top = self.bottom(x), self.top(x)
        # Rows keep their height along the car; a wheel arch only pushes them up where it must.
        sill = shape.clearance
        edge = 0.004 * np.arange(len(_ROW_SHARES))
        side_z = np.maximum(sill + share * (top - sill), bottom + edge)
        z = np.broadcast_to(side_z, (x.shape[0], column.shape[1], share.shape[2])).copy()
        is_top = share == 1.0
        z += is_top * (shape.bonnet_crown * (1.0 - column**2) - shape.shoulder_drop * column**8)
        # Wings rise at the sides only; between them bonnet and floor keep their height.
        between = np.abs(column) < 0.7
        middle = self.middle_top(x)
        z -= is_top * between * (top - middle)
        z = np.where((share == 0.0) & between, np.minimum(z, middle - 0.1), z)
        if shape.bed_depth > 0.0:
            inside = (x > self.bed_x[0]) & (x < self.bed_x[1]) & (np.abs(column) < 0.87)
            floor = np.maximum(top - shape.bed_depth, np.minimum(bottom, middle - 0.1) + 0.05)
            z = np.where(inside & is_top, floor, z)
        # The half width is that of the side at the same row, so that rows stay straight across.
        half_width = self.half_width(x, side_z)
        grid = np.stack(np.broadcast_arrays(x, column * half_width, z), axis=-1)
        return lattice_box(self._bent(grid, np.broadcast_to(column, grid.shape[:-1])))


class Cabin:
    """Everything above the belt line: windscreen, side and rear windows, roof.

    A point is addressed by its share of the length (0 rear window, 1 windscreen), its share of the
    half width and its share of the height (0 belt, 1 roof).
    """

    _LENGTH_SHARES = np.array([0.0, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0])
    _HEIGHT_SHARES = np.array([-0.25, 0.0, 0.5, 0.86, 0.95, 1.0])
    _COLUMNS = np.array([-1.0, -0.9, -0.5, 0.0, 0.5, 0.9, 1.0])

    def __init__(self, shape: CarShape, body: Body) -> None:
        """Set the cabin on a body."""
        self.shape = shape
        self.body = body
        self.base = shape.belt_height - shape.shoulder_drop
        self.rise = shape.height - self.base

    def point(self, length: Values, column: Values, height: Values) -> FloatArray:
        """Position at the given shares."""
        shape = self.shape
        length, column, height = np.broadcast_arrays(
            *(np.asarray(share, dtype=np.float64) for share in (length, column, height))
        )
        inset = shape.roof_radius * _quarter_round((height - 0.8) / 0.2)
        up = np.maximum(height, -0.3) * self.rise
        front = shape.cowl_x - up * np.tan(shape.windscreen_angle) - 0.8 * inset
        rear = shape.deck_x + up * np.tan(shape.rear_angle) + 0.8 * inset
        x = rear + length * (front - rear)
        # Both screens are bowed in plan; the bow fades out along the sides.
        bow = 0.75 * column**2
        x = x - bow * shape.front_bow * np.clip((length - 0.8) / 0.2, 0.0, 1.0)
        x = x + bow * shape.rear_bow * np.clip((0.2 - length) / 0.2, 0.0, 1.0)
        belt_width = 0.97 * self.body.half_width(x, np.full_like(x, shape.belt_height))
        half_width = belt_width * (1.0 - shape.tumblehome * np.clip(height, 0.0, 1.0)) - inset
        drop = shape.roof_drop * np.clip(1.0 - 1.4 * length, 0.0, 1.0) ** 2
        z = self.base + height * (self.rise - drop)
        crown = shape.roof_crown * (1.0 - column**2) * (1.0 - (2.0 * length - 1.0) ** 4)
        z = z + np.where(height >= 1.0, crown, 0.0) - 0.3 * inset * (height >= 1.0)
        return np.stack([x, column * half_width, z], axis=-1)

    def part(self) -> Part:
        """The closed cabin; its foot is sunk into the body."""
        return lattice_box(
            self.point(
                self._LENGTH_SHARES[:, None, None],
                self._COLUMNS[None, :, None],
                self._HEIGHT_SHARES[None, None, :],
            )
        )

    def side_x(self, length: float, height: float) -> float:
        """Where the side of the cabin is at the given shares along the car."""
        return float(self.point(length, 1.0, height)[0])


def _quarter_round(share: Values) -> NDArray[np.float64]:
    """Inset of a rounded edge of radius 1: 0 below it, 1 at its end."""
    s = np.clip(share, 0.0, 0.985)
    return np.asarray(1.0 - np.sqrt(1.0 - s**2))
