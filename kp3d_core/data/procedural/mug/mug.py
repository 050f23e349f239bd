"""Assembly of a mug from its seed."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.instance import Instance, normalized_instance
from kp3d_core.data.procedural.mug.body import Vessel
from kp3d_core.data.procedural.mug.glaze import outside_surfaces
from kp3d_core.data.procedural.mug.handle import handle_landmarks, handle_part
from kp3d_core.data.procedural.mug.parameters import draw_kind, draw_shape, draw_style
from kp3d_core.data.procedural.primitives import MeshBuilder, plain

LANDMARK_NAMES = (
    "rim_front",
    "rim_back",
    "rim_left",
    "rim_right",
    "foot_front",
    "foot_back",
    "foot_left",
    "foot_right",
    "handle_top",
    "handle_outer",
    "handle_bottom",
)
"""Front is where the handle is: +x. Left and right are those of somebody who sits in the mug and
looks at its handle.

rim_*: on the outer edge of the rim. foot_*: on the outside, a twentieth of the height above the
ground. handle_*: on the outer side of the handle, near its upper joint, where it stands off
farthest, and near its lower joint.
"""
_FOOT = 0.05
"""Height of the landmarks of the foot, as a share of the mug's height."""
_DIRECTIONS = {"front": 0.0, "left": 0.5 * np.pi, "back": np.pi, "right": -0.5 * np.pi}


def make_mug(seed: int, rng: np.random.Generator) -> Instance:
    """A mug with a handle, fully determined by the generator's state."""
    kind = draw_kind(rng)
    shape = draw_shape(rng, kind)
    style = draw_style(rng, shape)
    vessel = Vessel(shape)
    left, right = outside_surfaces(shape, style, rng)
    rim, inside = plain("rim", style.rim), plain("inside", style.inside)
    builder = MeshBuilder()
    builder.add(vessel.part(), [left, right, rim, inside, plain("foot", style.outside)])
    builder.add(handle_part(vessel), plain("handle", style.handle))
    if shape.fill:
        builder.add(vessel.drink(), plain("drink", style.drink))
    rim_height = shape.height - 0.35 * shape.wall
    foot_height = shape.foot + _FOOT * shape.height
    landmarks = handle_landmarks(vessel)
    for name, angle in _DIRECTIONS.items():
        landmarks[f"rim_{name}"] = vessel.point(angle, rim_height)
        landmarks[f"foot_{name}"] = vessel.point(angle, foot_height)
    ordered = {name: landmarks[name] for name in LANDMARK_NAMES}
    return normalized_instance("mug", seed, kind, builder, ordered)
