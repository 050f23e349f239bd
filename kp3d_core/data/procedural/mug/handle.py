"""The handle: a bent rod in the plane y = 0 whose ends lie inside the wall."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.mug.body import Vessel
from kp3d_core.data.procedural.primitives import FloatArray, Part, rounded_path, tube

_SIDES = 10
_STEPS = 11


def handle_path(vessel: Vessel) -> FloatArray:
    """Middle line from the upper to the lower joint, shape (n, 3) [m]."""
    shape = vessel.shape
    top, bottom = shape.handle_top * shape.height, shape.handle_bottom * shape.height
    start, end = vessel.point(0.0, top), vessel.point(0.0, bottom)
    out = max(start[0], end[0]) + shape.handle_reach
    if shape.handle in ("C", "ring"):
        path = _arc(start, end, out, lean=0.0)
    elif shape.handle == "ear":
        path = _arc(start, end, out, lean=0.35)
    else:
        corners = [start, [out, 0.0, top], [out + 0.1 * (end[0] - start[0]), 0.0, bottom], end]
        path = rounded_path(np.array(corners), 0.6 * shape.handle_reach, 4)
    return np.asarray(path)


def _arc(start: FloatArray, end: FloatArray, out: float, lean: float) -> FloatArray:
    """Half an ellipse from start to end that reaches x = out; `lean` moves its bulk upwards."""
    t = np.linspace(0.0, np.pi, _STEPS)
    along = 0.5 - 0.5 * np.cos(t)
    base = start + along[:, None] * (end - start)
    bulge = np.sin(t) * (1.0 + lean * np.cos(t))
    chord = 0.5 * (start[0] + end[0])
    base[:, 0] += (out - chord) * bulge / bulge.max()
    return base


def handle_part(vessel: Vessel) -> Part:
    """The closed rod."""
    shape = vessel.shape
    path = handle_path(vessel)
    # A little stronger where it joins the wall.
    joint = np.abs(np.linspace(-1.0, 1.0, len(path))) ** 3
    sizes = np.stack(
        [
            shape.handle_width * (1.0 + 0.2 * joint),
            shape.handle_thickness * (1.0 + 0.15 * joint),
        ],
        axis=-1,
    )
    rod = tube(path, sizes, _SIDES)
    # The ends take the form of the wall, in its middle: no gap outside, nothing in the hollow.
    vertices = rod.vertices.copy()
    for ends in (np.r_[0, 2 : 2 + _SIDES], np.r_[1, len(vertices) - _SIDES : len(vertices)]):
        vertices[ends, 0] = vessel.wall_x(vertices[ends, 1], vertices[ends, 2])
    return Part(vertices, rod.faces, np.zeros_like(rod.groups))


def handle_landmarks(vessel: Vessel) -> dict[str, FloatArray]:
    """Upper, outermost and lower point of the handle's outer side [m]."""
    path = handle_path(vessel)
    along = np.gradient(path, axis=0)
    outwards = np.stack([-along[:, 2], np.zeros(len(path)), along[:, 0]], axis=-1)
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    surface = path + vessel.shape.handle_thickness * outwards
    quarter = len(path) // 4
    return {
        "handle_top": surface[quarter],
        "handle_outer": surface[int(np.argmax(path[:, 0]))],
        "handle_bottom": surface[-1 - quarter],
    }
