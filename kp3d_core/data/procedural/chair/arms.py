"""Armrests: on posts, on brackets with pads, or as upholstered panels."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.chair.body import Backrest, Seat
from kp3d_core.data.procedural.chair.finish import Finish
from kp3d_core.data.procedural.chair.parameters import ChairShape, ChairStyle
from kp3d_core.data.procedural.primitives import (
    FloatArray,
    MeshBuilder,
    rounded_box,
    rounded_path,
    tube,
)

_X, _Y, _Z = np.eye(3)
_LEFT_RIGHT = (1.0, -1.0)


def add_arms(
    builder: MeshBuilder,
    shape: ChairShape,
    style: ChairStyle,
    seat: Seat,
    backrest: Backrest,
    frame: Finish,
    cover: Finish,
) -> None:
    """Add both armrests, if the chair has any."""
    if shape.arms == "posts":
        _on_posts(builder, shape, seat, backrest, frame)
    elif shape.arms == "pads":
        _pads(builder, shape, style, frame)
    elif shape.arms == "panels":
        _panels(builder, shape, cover)


def _on_posts(
    builder: MeshBuilder, shape: ChairShape, seat: Seat, backrest: Backrest, frame: Finish
) -> None:
    """A rail from the back forwards, carried by a post from the seat's side."""
    level = shape.seat_height + max(shape.arm_height, shape.cushion + 0.1)
    t = min((level - shape.seat_height) / shape.back_height, 0.9)
    edge = float(seat.plan(0.5, 1.0)[1])
    for side in _LEFT_RIGHT:
        start: FloatArray = backrest.point(side * 0.98, t, 0.01)
        level_here = float(start[2])
        wide = side * (edge + 0.02)
        front = np.array([0.36 * shape.seat_depth, wide, level_here + 0.005])
        middle = np.array([start[0] + 0.25 * (front[0] - start[0]), wide, level_here])
        half = np.array([[0.02, 0.011]]).repeat(3, axis=0) if shape.square_rods else 1.1 * shape.rod
        rail = tube(np.stack([start, middle, front]), half, 4 if shape.square_rods else 8)
        builder.add(rail, frame.rod(_X))
        foot = np.array([0.28 * shape.seat_depth, side * (edge - 0.01),
                         shape.seat_height - 0.6 * shape.seat_thickness])  # fmt: skip
        head = np.array([0.3 * shape.seat_depth, wide, level_here])
        post = tube([foot, head], 0.8 * shape.rod, 4 if shape.square_rods else 8)
        builder.add(post, frame.rod(_Z))


def _pads(builder: MeshBuilder, shape: ChairShape, style: ChairStyle, frame: Finish) -> None:
    """Brackets from below the seat with pads on top, as on office chairs."""
    under = shape.seat_height - shape.seat_thickness - 0.01
    level = shape.seat_height + shape.arm_height
    wide = 0.5 * shape.seat_width + 0.03
    for side in _LEFT_RIGHT:
        path = rounded_path(
            [(-0.03, 0.5 * side * wide, under), (-0.03, side * wide, under),
             (0.0, side * wide, level)], 0.04
        )  # fmt: skip
        half = np.array([[0.025, 0.011]]).repeat(len(path), axis=0)
        builder.add(tube(path, half, 4, across=_X), frame.rod(_Z))
        pad = rounded_box((0.02, side * wide, level + 0.01), (0.13, 0.04, 0.016), roundness=0.3)
        builder.add(pad, frame.rod(_X))


def _panels(builder: MeshBuilder, shape: ChairShape, cover: Finish) -> None:
    """Upholstered sides from the seat's underside to the armrest."""
    top = shape.seat_height + max(shape.arm_height, shape.cushion + 0.06)
    low = shape.seat_height - 0.95 * shape.seat_thickness
    thick = 0.035 + 0.4 * shape.rod + 0.25 * shape.back_thickness
    rear, front = -0.5 * shape.seat_depth - 0.03, 0.47 * shape.seat_depth
    for side in _LEFT_RIGHT:
        y = side * (0.5 * shape.seat_width + 0.6 * thick)
        center = (0.5 * (rear + front), y, 0.5 * (low + top))
        half = (0.5 * (front - rear), thick, 0.5 * (top - low))
        panel = rounded_box(center, half, roundness=0.16, divisions=4)
        builder.add(panel, cover.upright())
