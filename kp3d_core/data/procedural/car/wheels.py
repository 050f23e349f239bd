"""Wheels: a tyre and a rim, turned on a lathe, with painted spokes."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.car.parameters import CarShape, CarStyle
from kp3d_core.data.procedural.primitives import (
    Z_TO_Y,
    FloatArray,
    MeshBuilder,
    Part,
    Surface,
    lathe,
    plain,
)
from kp3d_core.data.procedural.textures import Canvas, planar_projection

_SEGMENTS = 16
_RIM_SIZE_PX = 32


def wheel_part(shape: CarShape, style: CarStyle) -> Part:
    """A left wheel about the origin, outer side at y = half its width."""
    r, half = shape.wheel_radius, shape.wheel_width / 2.0
    rim = style.rim_radius * r
    profile = [
        (0.0, -half),
        (0.9 * r, -half),
        (r, -0.7 * half),
        (r, 0.7 * half),
        (0.92 * r, half),
        (rim, 0.95 * half),
        (0.0, 0.75 * half),
    ]
    return lathe(profile, _SEGMENTS).moved((0.0, 0.0, 0.0), Z_TO_Y)


def add_wheels(
    builder: MeshBuilder, shape: CarShape, style: CarStyle, track_half_width: dict[int, float]
) -> dict[str, FloatArray]:
    """Add four wheels.

    Args:
        builder: receives the parts.
        shape: proportions of the car.
        style: colours.
        track_half_width: distance of the wheels' outer sides from the middle of the car, for the
            front (+1) and rear (-1) axle [m].

    Returns:
        The outer hub centres as landmarks.
    """
    part = wheel_part(shape, style)
    tyre = plain("tyre", style.tyre)
    rim_canvas = _paint_rim(shape, style)
    rim_material = rim_canvas.surface("rim").material
    landmarks = {}
    for end, axle_x in ((1, shape.front_axle_x), (-1, shape.rear_axle_x)):
        for side in (1, -1):
            center = np.array(
                [axle_x, track_half_width[end] - shape.wheel_width / 2.0, shape.wheel_radius]
            )
            # The rim's picture is drawn about the origin, so it moves with the wheel.
            projection = rim_canvas.projection.copy()
            projection[:, 3] -= projection[:, :3] @ center
            rim = Surface(rim_material, projection)
            left = part.moved(center)
            wheel = left if side > 0 else left.mirrored()
            builder.add(wheel, [tyre] * 5 + [rim])
            name = f"{'left' if side > 0 else 'right'}_{'front' if end > 0 else 'back'}_wheel"
            hub = center + np.array([0.0, 0.75 * shape.wheel_width / 2.0, 0.0])
            landmarks[name] = hub * np.array([1.0, side, 1.0])
    return landmarks


def _paint_rim(shape: CarShape, style: CarStyle) -> Canvas:
    """Disc with spokes, or a plain hubcap where there are none."""
    radius = style.rim_radius * shape.wheel_radius
    x, _, z = np.eye(3)
    projection = planar_projection(x, z, np.zeros(3), 2.1 * radius, 2.1 * radius)
    dark = 0.35 * style.rim if style.rim_spokes else 0.8 * style.rim
    canvas = Canvas(projection, _RIM_SIZE_PX, _RIM_SIZE_PX, style.rim)
    canvas.ellipse((0.0, 0.0, 0.0), [0.42 * _RIM_SIZE_PX] * 2, dark)
    for k in range(style.rim_spokes):
        angle = 2.0 * np.pi * (k / style.rim_spokes) + np.pi / 2.0
        along = radius * np.array([np.cos(angle), 0.0, np.sin(angle)])
        across = (0.9 / max(style.rim_spokes, 4)) * np.array([along[2], 0.0, -along[0]])
        canvas.fill([across, along + across, along - across, -across], style.rim)
    canvas.ellipse((0.0, 0.0, 0.0), [0.12 * _RIM_SIZE_PX] * 2, 0.9 * style.rim)
    return canvas
