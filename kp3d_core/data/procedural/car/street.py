"""Cars as they stand in streets: kinds, paints and looks of the generator's second version."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kp3d_core.data.procedural.car.parameters import (
    CarShape,
    CarStyle,
    draw_shape,
    draw_style,
)
from kp3d_core.data.procedural.paint import draw_paint, draw_second_paint, hsv
from kp3d_core.data.procedural.primitives import FloatArray

KINDS = {
    "racer": 0.06, "convertible": 0.06, "truck": 0.07, "bus": 0.04, "sports": 0.05, "van": 0.08,
    "pickup": 0.1, "suv": 0.17, "hatchback": 0.2, "sedan": 0.17,
}  # fmt: skip
"""Shares of the kinds. "truck" is a cab with a flat bed or a box behind it, "racer" a single-seater
with wings and free wheels."""
_BASES = {"truck": "pickup", "convertible": "sports", "racer": "sports"}


@dataclass(frozen=True)
class Details:
    """What the second version adds to a car."""

    seats: FloatArray
    """Colour of seats and trim inside."""
    people: int
    """How many sit in it, 0 to 2."""
    lamp_housing: bool
    """Headlights are bright reflectors in dark or clear housings rather than plain plates."""
    lamp_parts: bool
    """White and amber parts in the rear lights."""
    third_brake_light: bool
    lower_intake: bool
    """A dark opening low in the front bumper."""
    diffuser: bool
    """Dark plastic low in the rear bumper."""
    badge: bool
    """Bright badges in the grille and on the boot lid."""
    rear_wiper: bool
    cargo: str
    """Of a truck: "flat", "stakes" or "box"."""
    cargo_paint: FloatArray
    wing: bool
    """A large wing over the tail, as racing cars have."""


def draw_street_car(rng: np.random.Generator) -> tuple[str, CarShape, CarStyle, Details]:
    """Kind, proportions, colours and details."""
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    shape = draw_shape(rng, _BASES.get(kind, kind))
    if kind == "convertible":
        shape = _opened(shape, rng)
    if kind == "truck":
        shape = _with_cab_ahead(shape, rng)
    style = draw_style(rng, shape)
    paint = draw_street_paint(rng)
    second = draw_second_paint(rng, paint)
    plain = rng.random() < 0.7
    style = replace(
        style,
        paint=paint,
        second_paint=second,
        trim=np.full(3, rng.uniform(0.05, 0.18)),
        bumper=str(rng.choice(["paint", "trim", "chrome"], p=[0.75, 0.2, 0.05])),
        decal="none" if plain and shape.kind not in ("van", "bus") else style.decal,
        two_tone="none" if plain else style.two_tone,
        top_stripes=0 if plain else style.top_stripes,
        plate=str(rng.choice(["both", "rear", "none"], p=[0.85, 0.1, 0.05])),
        taillight_color=np.array([rng.uniform(0.55, 1.0), *rng.uniform(0.0, 0.1, 2)]),
        window_frames=bool(rng.random() < 0.7),
        light_bar=style.light_bar if rng.random() < 0.4 else "none",
    )
    return kind, shape, style, _draw_details(rng, kind)


def draw_street_paint(rng: np.random.Generator) -> FloatArray:
    """Body colour: half of the cars are black, dark grey or dark blue, a third silver or white."""
    choice = rng.random()
    if choice < 0.2:
        return rng.uniform(0.02, 0.1) * rng.uniform(0.85, 1.15, 3)
    if choice < 0.38:
        return rng.uniform(0.12, 0.35) * rng.uniform(0.94, 1.06, 3)
    if choice < 0.48:
        return hsv(rng.uniform(0.55, 0.68), rng.uniform(0.4, 0.9), rng.uniform(0.1, 0.4))
    if choice < 0.63:
        return rng.uniform(0.45, 0.78) * rng.uniform(0.97, 1.03, 3)
    if choice < 0.8:
        return rng.uniform(0.84, 0.97) * rng.uniform(0.97, 1.0, 3)
    return draw_paint(rng)


def _draw_details(rng: np.random.Generator, kind: str) -> Details:
    seats = rng.choice([0.05, 0.08, 0.15, 0.45]) * rng.uniform(0.8, 1.2) * np.ones(3)
    return Details(
        seats=seats * rng.uniform(0.85, 1.1, 3),
        people=int(rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1])),
        lamp_housing=bool(rng.random() < 0.75),
        lamp_parts=bool(rng.random() < 0.7),
        third_brake_light=bool(rng.random() < 0.6),
        lower_intake=bool(rng.random() < 0.65),
        diffuser=bool(rng.random() < 0.5),
        badge=bool(rng.random() < 0.7),
        rear_wiper=bool(rng.random() < 0.6),
        cargo=str(rng.choice(["flat", "stakes", "box"], p=[0.35, 0.25, 0.4])),
        cargo_paint=draw_paint(rng),
        wing=bool(rng.random() < (0.25 if kind == "sports" else 0.0)),
    )


def _opened(shape: CarShape, rng: np.random.Generator) -> CarShape:
    """Without a roof, the windscreen not too flat, room for two rows of seats or one."""
    height = max(shape.height, shape.belt_height + 0.38)
    return replace(
        shape,
        open_top=True,
        height=height,
        windscreen_angle=min(shape.windscreen_angle, float(np.radians(rng.uniform(48.0, 60.0)))),
        deck_x=min(shape.deck_x + 0.08 * shape.length, shape.cowl_x - 0.32 * shape.length),
        bed_depth=0.5 * (shape.belt_height - shape.clearance),
    )


def _with_cab_ahead(shape: CarShape, rng: np.random.Generator) -> CarShape:
    """A longer and taller pickup whose cab stands far ahead."""
    longer = float(rng.uniform(1.0, 1.35))
    half = shape.length * longer / 2.0
    bonnet = float(rng.uniform(0.05, 0.2)) * 2.0 * half
    cab = float(rng.uniform(1.5, 2.1))
    height = shape.height * float(rng.uniform(1.05, 1.3))
    cowl_x = half - bonnet
    lean = (height - shape.belt_height) * np.tan(shape.windscreen_angle)
    return replace(
        shape,
        length=2.0 * half,
        height=height,
        front_axle_x=half - (half / longer - shape.front_axle_x),
        rear_axle_x=-half + (shape.rear_axle_x + half / longer),
        cowl_x=cowl_x,
        deck_x=cowl_x - max(cab, float(lean) + 1.2),
        bed_depth=0.0,
    )
