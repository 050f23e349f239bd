"""A single-seated racing car: slim body, wings, free wheels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kp3d_core.data.procedural.car.parameters import CarShape, CarStyle
from kp3d_core.data.procedural.car.wheels import add_wheels
from kp3d_core.data.procedural.primitives import (
    FloatArray,
    MeshBuilder,
    Surface,
    box,
    plain,
    rounded_box,
    tube,
)


def assemble_racer(
    shape: CarShape, style: CarStyle, rng: np.random.Generator
) -> tuple[MeshBuilder, dict[str, FloatArray]]:
    """All parts in metres, and the landmarks; edges of the cockpit stand for those of screens."""
    builder = MeshBuilder()
    shape = _proportions(shape, rng)
    half, track = shape.length / 2.0, shape.width / 2.0
    paint, second = plain("paint", style.paint), plain("paint", style.second_paint)
    dark = plain("trim", (0.03, 0.03, 0.03))
    landmarks = add_wheels(builder, shape, style, {1: track, -1: track})
    wide = float(rng.uniform(0.3, 0.4))
    path = [(x * half, 0.0, z) for x, z in ((-0.85, 0.42), (-0.4, 0.44), (0.0, 0.4), (0.5, 0.36),
                                            (0.97, float(rng.uniform(0.2, 0.32))))]  # fmt: skip
    sizes = [(0.5 * wide, 0.2), (wide, 0.3), (wide, 0.25), (0.6 * wide, 0.17), (0.1, 0.07)]
    builder.add(tube(path, np.array(sizes), 10), paint)
    for side in (1, -1):
        pod = (-0.15 * half, side * (wide + 0.2), 0.36)
        builder.add(rounded_box(pod, (0.36 * half, 0.27, 0.22), roundness=0.35), second)
        for axle_x in (shape.front_axle_x, shape.rear_axle_x):
            for dx in (-0.25, 0.2):
                arm = [(axle_x + dx, 0.1 * side, 0.42), (axle_x, side * (track - 0.15), 0.36)]
                builder.add(tube(arm, 0.025, 4, across=(0.0, 0.0, 1.0)), dark)
    builder.add(box((-0.08 * half, -0.2, 0.5), (0.22 * half, 0.2, 0.66)), dark)
    helmet = plain("paint", rng.random(3))
    builder.add(rounded_box((0.0, 0.0, 0.76), (0.14, 0.12, 0.15), roundness=0.95), helmet)
    builder.add(rounded_box((-0.28 * half, 0.0, 0.78), (0.5, 0.12, 0.2), roundness=0.5), paint)
    _wings(builder, shape, paint if rng.random() < 0.5 else second, dark, rng)
    lamp = plain("taillight", style.taillight_color)
    builder.add(box((-0.9 * half, -0.06, 0.3), (-0.86 * half, 0.06, 0.4)), lamp)
    for side, name in ((1, "left"), (-1, "right")):
        landmarks[f"upper_{name}_windshield"] = np.array([0.2 * half, side * 0.2, 0.66])
        landmarks[f"upper_{name}_rearwindow"] = np.array([-0.28 * half, side * 0.12, 0.9])
        landmarks[f"{name}_front_light"] = np.array([0.97 * half, side * 0.8 * track, 0.14])
        landmarks[f"{name}_back_trunk"] = np.array([-0.97 * half, side * 0.5, 0.85])
    return builder, landmarks


def _proportions(shape: CarShape, rng: np.random.Generator) -> CarShape:
    length = float(rng.uniform(4.0, 5.7))
    radius = float(rng.uniform(0.28, 0.38))
    return replace(
        shape,
        length=length,
        width=float(rng.uniform(1.6, 2.1)),
        wheel_radius=radius,
        wheel_width=float(rng.uniform(0.28, 0.42)),
        front_axle_x=float(rng.uniform(0.27, 0.36)) * length,
        rear_axle_x=-float(rng.uniform(0.3, 0.36)) * length,
    )


def _wings(
    builder: MeshBuilder,
    shape: CarShape,
    color: Surface,
    dark: Surface,
    rng: np.random.Generator,
) -> None:
    """In front low and wide, behind high and narrower, both with end plates."""
    half = shape.length / 2.0
    wide = 0.47 * shape.width
    builder.add(box((0.86 * half, -wide, 0.1), (half, wide, 0.14)), color)
    builder.add(box((0.82 * half, -0.9 * wide, 0.18), (0.88 * half, 0.9 * wide, 0.21)), color)
    high, across = float(rng.uniform(0.65, 1.1)), float(rng.uniform(0.4, 0.65))
    builder.add(box((-half, -across, high), (-0.86 * half, across, high + 0.05)), color)
    builder.add(box((-half, -across, high - 0.18), (-0.9 * half, across, high - 0.14)), color)
    for side in (1, -1):
        y = sorted((side * wide, side * (wide - 0.03)))
        builder.add(box((0.8 * half, y[0], 0.08), (half, y[1], 0.3)), dark)
        y = sorted((side * across, side * (across + 0.03)))
        builder.add(box((-half, y[0], 0.4), (-0.82 * half, y[1], high + 0.08)), dark)
