"""What stands on some cars: the windscreen of an open one, a truck's load bed, a racing wing."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.car.body import Body, Cabin
from kp3d_core.data.procedural.car.parameters import CarShape
from kp3d_core.data.procedural.car.street import Details
from kp3d_core.data.procedural.primitives import (
    MeshBuilder,
    Part,
    Surface,
    box,
    lattice_box,
    plain,
)


def windscreen(cabin: Cabin) -> Part:
    """That of a cabin which has nothing else, as a thin pane with its frame."""
    columns, heights = np.meshgrid(
        np.linspace(-1.0, 1.0, 7), np.array([-0.1, 0.3, 0.6, 0.94]), indexing="ij"
    )
    outer = cabin.point(np.ones_like(columns), columns, heights)
    return lattice_box(np.stack([outer - np.array([0.03, 0.0, 0.0]), outer]))


def add_cargo(builder: MeshBuilder, shape: CarShape, body: Body, details: Details) -> None:
    """A flat bed, one with low walls, or a tall box behind the cab."""
    rear, front = -shape.length / 2.0 - 0.02, shape.deck_x - 0.12
    half = 0.5 * shape.width
    floor = float(np.max(body.top(np.linspace(rear, front, 9)))) - 0.02
    paint, dark = plain("paint", details.cargo_paint), plain("trim", (0.08, 0.08, 0.08))
    if details.cargo == "box":
        tall = max(shape.height * 1.02, floor + 0.9)
        builder.add(box((rear, -1.02 * half, floor - 0.05), (front, 1.02 * half, tall)), paint)
        for bar_y in (-0.03, 0.5 * half, -0.5 * half):  # doors and their bars
            bar = box((rear - 0.02, bar_y, floor), (rear + 0.01, bar_y + 0.05, tall - 0.06))
            builder.add(bar, dark)
        return
    wood = plain("wood", (0.3, 0.22, 0.15))
    builder.add(box((rear, -half, floor - 0.08), (front, half, floor)), wood)
    high = 0.08 if details.cargo == "flat" else 0.38
    builder.add(box((front - 0.06, -half, floor), (front, half, floor + 0.55)), dark)
    if details.cargo == "stakes":
        builder.add(box((rear, -half, floor), (rear + 0.05, half, floor + high)), paint)
    for side in (1, -1):
        y = sorted((side * half, side * (half - 0.05)))
        builder.add(box((rear, y[0], floor), (front, y[1], floor + high)), paint)


def add_wing(builder: MeshBuilder, shape: CarShape, color: Surface) -> None:
    """A wing as wide as the car on two posts over the tail."""
    x, half = -shape.length / 2.0 + 0.1, 0.44 * shape.width
    z = shape.tail_height + 0.28
    builder.add(box((x, -half, z), (x + 0.32, half, z + 0.04)), color)
    for side in (1, -1):
        y = sorted((side * half, side * (half + 0.03)))
        builder.add(box((x - 0.02, y[0], z - 0.12), (x + 0.34, y[1], z + 0.1)), color)
        y = sorted((side * 0.55 * half, side * 0.6 * half))
        builder.add(box((x + 0.1, y[0], z - 0.4), (x + 0.2, y[1], z)), color)
