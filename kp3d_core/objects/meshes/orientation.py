"""How a file is turned: said by the user, known from its format, or guessed by comparing shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kp3d_core.rendering.mesh import Mesh

FloatArray = NDArray[np.float64]

CONVENTIONS = {
    "gltf": ("y", "z"),
    "shapenet-v1": ("y", "x"),
    "shapenet-v2": ("y", "-z"),
    "blender": ("z", "-y"),
    "ros": ("z", "x"),
}
"""Up and front in the axes of the file, by name.

glTF: specification 2.0, section 3.4 (+Y up, the front faces +Z). ShapeNet: the README of either
version. Blender: its front view looks along +y. ROS: REP 103.
"""
MIRRORED = ("shapenet-v1",)
"""Conventions whose files have left and right exchanged: they are exchanged back.

ShapeNet tells of its v1 that left and right are flipped, and of v2 that it mends that.
"""
AXES = ("x", "-x", "y", "-y", "z", "-z")
QUARTER_TURNS: dict[str, FloatArray] = {
    "left": np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    "right": np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    "back": np.diag([-1.0, -1.0, 1.0]),
    "forwards": np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]),
    "sideways": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
}
"""Turns of an object in its own frame: about its upright axis, tipped forwards or to the right."""
_CELLS = 16
_SAMPLES = 6000
_ROUNDS = 4


def turn_of_axes(up: str, front: str, mirrored: bool = False) -> FloatArray:
    """R_object_file, shape (3, 3), of a file whose object has these axes.

    Args:
        up: axis of the file that points up, such as "y" or "-z".
        front: axis of the file that points forwards.
        mirrored: left and right of the file are exchanged; then the determinant is -1.
    """
    problems = [
        f"{name} must be one of {' '.join(AXES)}, got {axis!r}"
        for name, axis in (("up", up), ("front", front))
        if axis not in AXES
    ]
    if not problems and up.lstrip("-") == front.lstrip("-"):
        problems.append(f"up and front must be different axes, got {up} and {front}")
    if problems:
        raise ValueError("Axes cannot be used: " + "; ".join(problems) + ".")
    z, x = _unit(up), _unit(front)
    left = np.cross(z, x)
    return np.stack([x, -left if mirrored else left, z])


def sample_surface(mesh: Mesh, count: int = _SAMPLES, seed: int = 0) -> FloatArray:
    """Points spread evenly over the surface, shape (count, 3); the same ones every time."""
    rng = np.random.default_rng(seed)
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    chosen = rng.choice(len(area), count, p=area / area.sum())
    u, v = rng.random((2, count))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    a, b, c = corners[chosen].transpose(1, 0, 2)
    return np.asarray(a + u[:, None] * (b - a) + v[:, None] * (c - a))


def occupancy(points: FloatArray) -> FloatArray:
    """Where a surface is: cells of a cube around its box, unit norm, shape (cells^3,)."""
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - (low + high) / 2) / max(float((high - low).max()), 1e-30) + 0.5
    index = np.clip((scaled * _CELLS).astype(np.int64), 0, _CELLS - 1)
    grid = np.zeros((_CELLS + 2,) * 3)
    np.add.at(grid, tuple((index + 1).T), 1.0)
    grid = np.minimum(grid, 4.0 * len(points) / _CELLS**2)
    # Neighbours count by half, so that near misses are misses by half.
    for axis in range(3):
        grid = grid + 0.5 * (np.roll(grid, 1, axis) + np.roll(grid, -1, axis))
    return np.asarray(grid.ravel() / np.linalg.norm(grid))


def guess_up(clouds: Sequence[FloatArray]) -> str:
    """The axis that objects of one kind stand on, of "y" and "z": the broader, fuller support."""
    scores = {"y": 0.05, "z": 0.0}  # most files have y up
    for axis in scores:
        k = "xyz".index(axis)
        scores[axis] += float(np.mean([_support(points, k) for points in clouds]))
    return max(scores, key=lambda axis: scores[axis])


def align_yaw(
    clouds: Sequence[FloatArray], reference: Sequence[FloatArray] = ()
) -> list[FloatArray]:
    """Quarter turns about the upright axis that bring upright objects in line with each other.

    Args:
        clouds: points on each object, z up.
        reference: points on objects that stand as wanted (x forward); without them objects are
            turned so that left and right are alike and the lower half is in front.

    Returns:
        R_object_upright of each, shape (3, 3).
    """
    turns = [_yaw(k) for k in range(4)]
    views = [[occupancy(points @ turn.T) for turn in turns] for points in clouds]
    if reference:
        goal = np.mean([occupancy(points) for points in reference], axis=0)
        return [turns[int(np.argmax([view @ goal for view in four]))] for four in views]
    chosen = [0] * len(clouds)
    for _ in range(_ROUNDS):
        for k, four in enumerate(views):
            goal = np.sum([views[j][c] for j, c in enumerate(chosen) if j != k], axis=0)
            if np.ndim(goal):
                chosen[k] = int(np.argmax([view @ goal for view in four]))
    aligned = [points @ turns[c].T for points, c in zip(clouds, chosen, strict=True)]
    common = max(range(4), key=lambda k: np.mean([_front_score(p @ turns[k].T) for p in aligned]))
    return [turns[common] @ turns[c] for c in chosen]


def _front_score(points: FloatArray) -> float:
    """How much an object looks as if it looked along +x."""
    centred = points - (points.min(axis=0) + points.max(axis=0)) / 2
    mirrored = centred * [1.0, -1.0, 1.0]
    symmetry = float(occupancy(centred) @ occupancy(mirrored))
    size = float(np.ptp(points, axis=0).max())
    ahead = centred[:, 0] > 0
    if ahead.all() or not ahead.any():
        return symmetry
    lower = float(centred[~ahead, 2].mean() - centred[ahead, 2].mean()) / size
    return symmetry + 0.3 * lower


def _support(points: FloatArray, axis: int) -> float:
    """Area of the footprint on the ground, as a share of the box's, if the middle is above it."""
    from scipy.spatial import ConvexHull, QhullError

    low, high = points.min(axis=0), points.max(axis=0)
    size = high - low
    flat = [k for k in range(3) if k != axis]
    touching = points[points[:, axis] < low[axis] + 0.03 * size.max()][:, flat]
    if len(touching) < 8:
        return 0.0
    try:
        hull = ConvexHull(touching)
    except QhullError:
        return 0.0
    middle = points.mean(axis=0)[flat]
    if (hull.equations[:, :2] @ middle + hull.equations[:, 2] > 0).any():
        return 0.0
    return float(hull.volume / np.prod(size[flat]))


def _yaw(quarters: int) -> FloatArray:
    return np.asarray(np.linalg.matrix_power(QUARTER_TURNS["left"], quarters))


def _unit(axis: str) -> FloatArray:
    sign = -1.0 if axis.startswith("-") else 1.0
    return sign * np.eye(3)["xyz".index(axis.lstrip("-"))]
