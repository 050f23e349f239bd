"""Assembly of a plane from its seed."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.instance import Instance, normalized_instance
from kp3d_core.data.procedural.plane.fittings import Fitter, cabin_outline, side_skins
from kp3d_core.data.procedural.plane.layout import Layout, Lifting
from kp3d_core.data.procedural.plane.livery import Livery, paint_livery
from kp3d_core.data.procedural.plane.parameters import (
    PlaneShape,
    PlaneStyle,
    draw_kind,
    draw_shape,
    draw_style,
)
from kp3d_core.data.procedural.plane.propulsion import Propulsion
from kp3d_core.data.procedural.plane.surfaces import LEADING_EDGE, UNDERSIDE, Fuselage
from kp3d_core.data.procedural.primitives import FloatArray, MeshBuilder, Surface, plain

LANDMARK_NAMES = (
    "nose",
    "tail_end",
    "left_wing_tip",
    "right_wing_tip",
    "left_stabiliser_tip",
    "right_stabiliser_tip",
    "fin_top",
    "cockpit",
)
"""Left and right as the pilot sees.

nose: foremost point of the fuselage, or of the spinner of a propeller there. tail_end: middle of
the rear end of the fuselage, or of a single jet pipe. wing tips: middle of the outer edge, of the
lower wing of a biplane, of the upper edge of a winglet. stabiliser tips: middle of the outer edge
of the tailplane; on a delta, which has none, the middle of each wing's trailing edge. fin_top:
middle of the upper edge of the fin; where there are two, of the left one. cockpit: middle of the
windscreen's upper edge, or the highest point of a canopy.
"""


def make_plane(seed: int, rng: np.random.Generator) -> Instance:
    """A plane, fully determined by the generator's state."""
    kind = draw_kind(rng)
    shape = draw_shape(rng, kind)
    style = draw_style(rng, shape)
    builder, landmarks = _assemble(shape, style, rng)
    ordered = {name: landmarks[name] for name in LANDMARK_NAMES}
    return normalized_instance("plane", seed, kind, builder, ordered)


def _assemble(
    shape: PlaneShape, style: PlaneStyle, rng: np.random.Generator
) -> tuple[MeshBuilder, dict[str, FloatArray]]:
    """All parts in metres, and the landmarks."""
    builder = MeshBuilder()
    fuselage = Fuselage(shape)
    layout = Layout(shape, fuselage)
    cabin = cabin_outline(shape, fuselage, rng)
    livery = paint_livery(shape, style, fuselage, layout, cabin, rng)
    body = side_skins(livery)
    if shape.engines == "nose":
        body[-1] = plain("dark", (0.06, 0.06, 0.07))
    builder.add(fuselage.part(), body)
    _add_surfaces(builder, layout, livery, style)
    fitter = Fitter(builder, style, layout, rng)
    cockpit = fitter.cockpit(cabin, livery)
    engines = Propulsion(builder, style, layout, rng).add()
    fitter.gear()
    fitter.struts()
    fitter.stores()
    mirror = np.array([1.0, -1.0, 1.0])
    wing_tip, stabiliser_tip = layout.wing.tip, layout.stabiliser_tip()
    landmarks = {
        "nose": fuselage.nose,
        "tail_end": fuselage.tail,
        "left_wing_tip": wing_tip,
        "right_wing_tip": wing_tip * mirror,
        "left_stabiliser_tip": stabiliser_tip,
        "right_stabiliser_tip": stabiliser_tip * mirror,
        "fin_top": layout.fin_top(),
        "cockpit": cockpit,
    }
    return builder, {**landmarks, **engines}


def _add_surfaces(builder: MeshBuilder, layout: Layout, livery: Livery, style: PlaneStyle) -> None:
    """Wings, tailplane and fins."""
    shape = layout.shape
    metal = plain("leading edge", style.metal)
    edged = shape.kind in ("airliner", "bizjet", "turboprop")
    horizontal: list[Surface] = [livery.top] * 10
    for group in UNDERSIDE:
        horizontal[group] = livery.bottom
    if edged:
        for group in LEADING_EDGE:
            horizontal[group] = metal
    pairs: list[Lifting] = [layout.wing]
    if shape.upper_wing:
        pairs.append(layout.upper_wing())
    if layout.tailplane is not None:
        pairs.append(layout.tailplane)
    if shape.canard:
        pairs.append(layout.canard())
    for lifting in pairs:
        part = lifting.part()
        builder.add(part, horizontal)
        builder.add(part.mirrored(), horizontal)
    # Seen along +y, the fin's profile has its upper side on the right.
    vertical = [livery.right] * 2 + [livery.left] * 4 + [livery.right] * 4
    mirrored = [livery.left] * 2 + [livery.right] * 4 + [livery.left] * 4
    for fin in layout.fins:
        builder.add(fin.part(), vertical)
        if shape.fins == 2:
            builder.add(fin.part().mirrored(), mirrored)
