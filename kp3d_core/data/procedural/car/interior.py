"""What is seen through the windows of a car: dashboard, steering wheel, seats, people."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.car.body import Body, Cabin
from kp3d_core.data.procedural.car.parameters import CarShape
from kp3d_core.data.procedural.car.street import Details
from kp3d_core.data.procedural.primitives import (
    FloatArray,
    MeshBuilder,
    box,
    plain,
    rounded_box,
    tube,
)

_CLOTHES = ((0.1, 0.12, 0.2), (0.6, 0.6, 0.62), (0.35, 0.08, 0.08), (0.05, 0.05, 0.05))
_SKIN = ((0.8, 0.6, 0.5), (0.5, 0.33, 0.24), (0.25, 0.17, 0.13))


class Interior:
    """Adds the inside of a car; the driver sits on the left or on the right."""

    def __init__(
        self,
        builder: MeshBuilder,
        shape: CarShape,
        body: Body,
        cabin: Cabin,
        details: Details,
        rng: np.random.Generator,
    ) -> None:
        """Work out where people sit."""
        self.builder, self.shape, self.details, self.rng = builder, shape, details, rng
        self.body = body
        self.dark = plain("interior", (0.03, 0.03, 0.03))
        self.seat = plain("seat", details.seats)
        self.base = cabin.base
        self.rise = min(cabin.rise, 1.0)
        self.floor = self.base - (shape.bed_depth if shape.open_top else 0.0)
        self.half_width = 0.8 * float(body.half_width(shape.cowl_x, np.array(self.base)))
        self.driver = 1 if rng.random() < 0.75 else -1

    def add(self) -> None:
        """Dark trim, dashboard and wheel, front seats, as many benches as there is room for."""
        shape = self.shape
        rear, front = shape.deck_x, shape.cowl_x
        wide = self.half_width
        if not shape.open_top:  # hides the painted deck below the windows
            low = (rear + 0.1, -1.08 * wide, self.base - 0.1)
            self.builder.add(box(low, (front - 0.1, 1.08 * wide, self.base + 0.015)), self.dark)
        dash = (front - 0.55, -wide, self.floor)
        self.builder.add(box(dash, (front - 0.12, wide, self.base + 0.1 * self.rise)), self.dark)
        self._steering_wheel(np.array([front - 0.62, 0.5 * self.driver * wide, self.base + 0.05]))
        first = front - float(self.rng.uniform(1.25, 1.5))
        rows = [first]
        while rows[-1] - 0.95 > rear + 0.25 and len(rows) < 8:
            rows.append(rows[-1] - 0.95)
        if len(rows) == 1:
            rows = [max(first, rear + 0.3)]
        for x in rows:
            for side in (1, -1):
                self._seat(x, 0.5 * side * wide)
        for number in range(self.details.people):
            side = self.driver if number == 0 else -self.driver
            self._person(rows[0] + 0.12, 0.5 * side * wide)

    def _seat(self, x: float, y: float) -> None:
        """Back and head rest, leaning backwards."""
        high = self.base + 0.52 * self.rise
        low = min(self.floor, self.base - 0.15)
        half = 0.5 * self.half_width * 0.85
        back = rounded_box(
            (x, y, 0.5 * (low + high)), (0.08, half, 0.5 * (high - low)), roundness=0.25
        )
        self.builder.add(back, self.seat)
        head = (x - 0.05, y, high + 0.12 * self.rise)
        self.builder.add(
            rounded_box(head, (0.06, 0.45 * half, 0.1 * self.rise), roundness=0.4), self.seat
        )

    def _steering_wheel(self, center: FloatArray) -> None:
        angle = np.linspace(0.0, 2.0 * np.pi, 11)
        ring = np.stack([0.08 * np.sin(angle), 0.18 * np.cos(angle), 0.17 * np.sin(angle)], -1)
        self.builder.add(tube(center + ring, 0.018, 4, across=(1.0, 0.0, 0.3)), self.dark)

    def _person(self, x: float, y: float) -> None:
        """Shoulders and head."""
        clothes = plain("fabric", _CLOTHES[self.rng.integers(len(_CLOTHES))])
        skin = plain("skin", _SKIN[self.rng.integers(len(_SKIN))])
        hair = plain("hair", self.rng.choice([0.03, 0.1, 0.3]) * np.array([1.0, 0.85, 0.7]))
        shoulders = self.base + 0.32 * self.rise
        self.builder.add(
            rounded_box((x, y, shoulders - 0.12), (0.12, 0.22, 0.25), roundness=0.7), clothes
        )
        head = np.array([x + 0.02, y, shoulders + 0.24])
        self.builder.add(rounded_box(head, (0.1, 0.075, 0.12), roundness=0.9), skin)
        self.builder.add(
            rounded_box(head + np.array([-0.03, 0.0, 0.04]), (0.095, 0.08, 0.1), roundness=0.9),
            hair,
        )
