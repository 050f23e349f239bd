"""Assembly of a chair from its seed."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.chair.arms import add_arms
from kp3d_core.data.procedural.chair.backs import BackBuilder
from kp3d_core.data.procedural.chair.bases import BaseBuilder
from kp3d_core.data.procedural.chair.body import Backrest, Seat
from kp3d_core.data.procedural.chair.finish import Finish, make_finish
from kp3d_core.data.procedural.chair.parameters import (
    ChairShape,
    ChairStyle,
    draw_kind,
    draw_shape,
    draw_style,
)
from kp3d_core.data.procedural.instance import Instance, normalized_instance
from kp3d_core.data.procedural.primitives import FloatArray, MeshBuilder, box, plain

LANDMARK_NAMES = (
    "seat_front_left",
    "seat_front_right",
    "seat_back_left",
    "seat_back_right",
    "back_top_left",
    "back_top_right",
    "leg_front_left",
    "leg_front_right",
    "leg_back_left",
    "leg_back_right",
)
"""Front is where the sitter looks; left and right as the sitter sees.

seat_*: corners of the seat's upper side, on the diagonals where it is round; of the cushion in an
easy chair, else of the seat beside a loose cushion, which leaves them free. back_top_*: tops of the
posts or upper corners of the panel, without headrest; on a medallion or bow the points at its upper
diagonals. On the rare stool without a back they coincide with seat_back_*; its straight rear edge,
its round front edge and the foot rest in front tell its direction. leg_*: lower ends of the legs;
on a sled the ends of the straight part of its runners; on a cantilever the same in front, and the
ends of the tube behind; on a star the arm's end that is nearest to each diagonal, whichever way the
star is turned; on a round foot the points of its rim on the diagonals.
"""


def make_chair(seed: int, rng: np.random.Generator) -> Instance:
    """A chair, fully determined by the generator's state."""
    kind = draw_kind(rng)
    shape = draw_shape(rng, kind)
    style = draw_style(rng, shape)
    builder, landmarks = _assemble(shape, style, rng)
    ordered = {name: landmarks[name] for name in LANDMARK_NAMES}
    return normalized_instance("chair", seed, kind, builder, ordered)


def _assemble(
    shape: ChairShape, style: ChairStyle, rng: np.random.Generator
) -> tuple[MeshBuilder, dict[str, FloatArray]]:
    """All parts in metres, and the landmarks."""
    builder = MeshBuilder()
    frame = make_finish(style.frame, style.frame_color, rng)
    cover = make_finish(
        style.seat, style.seat_color, rng, second=style.second_color, pattern=style.pattern
    )
    panel = cover
    if style.back != style.seat or not np.array_equal(style.back_color, style.seat_color):
        panel = make_finish(
            style.back, style.back_color, rng, second=style.second_color, pattern=style.pattern
        )
    seat = Seat(shape)
    builder.add(seat.part(), cover.seat())
    _add_cushion(builder, shape, style, seat, rng)
    feet = BaseBuilder(builder, shape, seat, frame, rng).add()
    landmarks = {f"leg_{name}": point for name, point in feet.items()}
    sitting = shape.seat_height, shape.seat_thickness, 1.0
    if shape.kind == "armchair" and shape.cushion:
        sitting = _cushion_place(shape)
    for end, u in (("front", 1), ("back", -1)):
        for side, v in (("left", 1), ("right", -1)):
            landmarks[f"seat_{end}_{side}"] = seat.corner(u, v, *sitting)
    backrest = Backrest(shape, seat)
    top = landmarks["seat_back_left"], landmarks["seat_back_right"]
    if shape.back != "none":
        top = BackBuilder(builder, shape, style, backrest, frame, panel, rng).add()
    elif style.label:
        _add_seat_label(builder, shape, style)
    landmarks["back_top_left"], landmarks["back_top_right"] = top
    add_arms(builder, shape, style, seat, backrest, frame, cover)
    return builder, landmarks


def _add_cushion(
    builder: MeshBuilder,
    shape: ChairShape,
    style: ChairStyle,
    seat: Seat,
    rng: np.random.Generator,
) -> None:
    """A loose cushion on the seat."""
    if not shape.cushion:
        return
    finish: Finish = make_finish(
        "fabric", style.cushion_color, rng, second=style.second_color, pattern=style.pattern
    )
    builder.add(seat.pad(*_cushion_place(shape)), finish.seat())


def _cushion_place(shape: ChairShape) -> tuple[float, float, float]:
    """Height of a cushion's upper side, its thickness, and the share of the seat it covers."""
    top = shape.seat_height + min(shape.seat_bulge, 0.0) + shape.cushion
    return top, shape.cushion, 0.97 if shape.kind == "armchair" else 0.86


def _add_seat_label(builder: MeshBuilder, shape: ChairShape, style: ChairStyle) -> None:
    """A tag at the rear edge of a stool."""
    x, z = -0.47 * shape.seat_depth, shape.seat_height - 0.4 * shape.seat_thickness
    low = (x - 0.03, -0.05, z - 0.25 * shape.seat_thickness)
    builder.add(box(low, (x, 0.05, z)), plain("label", style.second_color))
