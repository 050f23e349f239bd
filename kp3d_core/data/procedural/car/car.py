"""Assembly of a car from its seed."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.car.body import Body, Cabin
from kp3d_core.data.procedural.car.fittings import Fitter
from kp3d_core.data.procedural.car.interior import Interior
from kp3d_core.data.procedural.car.lamps import add_details
from kp3d_core.data.procedural.car.livery import paint_livery
from kp3d_core.data.procedural.car.parameters import (
    CarShape,
    CarStyle,
    draw_kind,
    draw_shape,
    draw_style,
)
from kp3d_core.data.procedural.car.racer import assemble_racer
from kp3d_core.data.procedural.car.street import Details, draw_street_car
from kp3d_core.data.procedural.car.superstructure import add_cargo, add_wing, windscreen
from kp3d_core.data.procedural.car.wheels import add_wheels
from kp3d_core.data.procedural.instance import Instance, normalized_instance
from kp3d_core.data.procedural.primitives import FloatArray, MeshBuilder, plain

LANDMARK_NAMES = (
    "left_front_wheel",
    "left_back_wheel",
    "right_front_wheel",
    "right_back_wheel",
    "upper_left_windshield",
    "upper_right_windshield",
    "upper_left_rearwindow",
    "upper_right_rearwindow",
    "left_front_light",
    "right_front_light",
    "left_back_trunk",
    "right_back_trunk",
)
"""The car landmarks of PASCAL3D+ (Xiang et al., WACV 2014); left and right as the driver sees."""

_HOUSINGS = np.array([[0.08, 0.08, 0.09], [0.2, 0.21, 0.23], [0.5, 0.52, 0.55]])
"""Colours of headlights with reflectors in them."""


def make_car(seed: int, rng: np.random.Generator, version: int = 1) -> Instance:
    """A car, fully determined by the generator's state and the version, 1 or 2."""
    if version == 2:
        return _make_street_car(seed, rng)
    kind = draw_kind(rng)
    shape = draw_shape(rng, kind)
    style = draw_style(rng, shape)
    builder, landmarks = _assemble(shape, style, rng)
    ordered = {name: landmarks[name] for name in LANDMARK_NAMES}
    return normalized_instance("car", seed, kind, builder, ordered)


def _make_street_car(seed: int, rng: np.random.Generator) -> Instance:
    kind, shape, style, details = draw_street_car(rng)
    if kind == "racer":
        builder, landmarks = assemble_racer(shape, style, rng)
    else:
        builder, landmarks = _assemble(shape, style, rng, details, kind)
    ordered = {name: landmarks[name] for name in LANDMARK_NAMES}
    return normalized_instance("car", seed, kind, builder, ordered)


def _assemble(
    shape: CarShape,
    style: CarStyle,
    rng: np.random.Generator,
    details: Details | None = None,
    kind: str = "",
) -> tuple[MeshBuilder, dict[str, FloatArray]]:
    """All parts in metres, and the landmarks; details are those of the second version."""
    builder = MeshBuilder()
    body = Body(shape)
    cabin = Cabin(shape, body)
    livery = paint_livery(shape, style, body, cabin, rng)
    underside = plain("underside", (0.04, 0.04, 0.04))
    skins = [livery.rear, livery.front, livery.right, livery.left, underside, livery.top]
    builder.add(body.part(), skins)
    if not shape.open_top:
        builder.add(cabin.part(), skins)
    hub_z = shape.wheel_radius
    track = {
        end: 0.985 * float(body.half_width(axle_x, hub_z))
        for end, axle_x in ((1, shape.front_axle_x), (-1, shape.rear_axle_x))
    }
    landmarks = add_wheels(builder, shape, style, track)
    fitter = Fitter(builder, shape, style, body, cabin, rng)
    fitter.underside()
    housed = details is not None and details.lamp_housing
    fitter.headlights(_HOUSINGS[rng.integers(len(_HOUSINGS))] if housed else None)
    fitter.taillights()
    fitter.grille_and_bumpers()
    fitter.mirrors()
    if not shape.open_top:
        fitter.roof()
    if details is not None:
        add_details(fitter, details)
        Interior(builder, shape, body, cabin, details, rng).add()
        if shape.open_top:
            builder.add(windscreen(cabin), livery.front)
        if kind == "truck":
            add_cargo(builder, shape, body, details)
        if details.wing:
            add_wing(builder, shape, fitter.trim)
    return builder, {**landmarks, **fitter.landmarks, **_corner_landmarks(shape, body, cabin)}


def _corner_landmarks(shape: CarShape, body: Body, cabin: Cabin) -> dict[str, FloatArray]:
    """Upper corners of both screens, and the upper rear corners of the body."""
    landmarks = {}
    tail_z = float(body.top(-shape.length / 2.0)) - shape.shoulder_drop
    for side, name in ((1, "left"), (-1, "right")):
        column = side * 0.9
        for end, screen in ((1.0, "windshield"), (0.0, "rearwindow")):
            gone = shape.open_top and end == 0.0
            corner = cabin.point(end, column, 0.0 if gone else 0.86)
            landmarks[f"upper_{name}_{screen}"] = corner
        landmarks[f"{name}_back_trunk"] = body.end_point(-1, side, tail_z)
    return landmarks
