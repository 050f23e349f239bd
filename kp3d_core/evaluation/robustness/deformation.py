"""Smooth stretching of objects, and how far keypoints follow it (the paper's Figure 7).

A stretch moves points along one object axis: nothing on one side of the middle, the whole amount at
the end of the object, smoothly in between. It is defined in the whole space, so it also says where
a point inside the object goes, and it moves landmarks as it moves the surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kp3d_core.rendering.mesh import Mesh

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Stretch:
    """Displacement along an object axis, from 0 at the middle to `amount` at the object's end."""

    name: str
    axis: int
    """0 x (length), 1 y (width), 2 z (height)."""
    directions: tuple[int, ...]
    """Ends that move: +1, -1 or both."""
    amount: float
    """Displacement of each end, outwards [model units]."""


STRETCHES: tuple[Stretch, ...] = (
    Stretch("longer front", 0, (1,), 0.25),
    Stretch("longer rear", 0, (-1,), 0.25),
    Stretch("taller top", 2, (1,), 0.2),
    Stretch("wider", 1, (1, -1), 0.12),
)
"""Stretches of about an eighth of a car's length, and of a third of its height and width."""


def displacement(points: FloatArray, stretch: Stretch, bounds: FloatArray) -> FloatArray:
    """Displacement of points in the object frame, shape (..., 3) [model units].

    Args:
        points: shape (..., 3).
        stretch: what happens to the object.
        bounds: minimum and maximum of the object before, (2, 3).
    """
    result = np.zeros(np.shape(points))
    x = np.asarray(points, dtype=np.float64)[..., stretch.axis]
    for direction in stretch.directions:
        t = _progress(x, stretch, bounds, direction)
        result[..., stretch.axis] += direction * stretch.amount * t**2 * (3 - 2 * t)
    return result


def deform_mesh(mesh: Mesh, stretch: Stretch) -> Mesh:
    """The stretched object: vertices moved, normals turned with the surface, texture kept on it."""
    bounds = mesh.bounds.astype(np.float64)
    before = mesh.vertices.astype(np.float64)
    vertices = before + displacement(before, stretch, bounds)
    # Along its axis the map x -> x + d(x) has the derivative 1 + d'(x); normals are multiplied by
    # the inverse transpose of the Jacobian, which is diagonal.
    x = before[mesh.faces][..., stretch.axis]
    slope = np.ones_like(x)
    for direction in stretch.directions:
        t = _progress(x, stretch, bounds, direction)
        length = _length(stretch, bounds, direction)
        slope += stretch.amount / length * 6 * t * (1 - t)
    normals = mesh.corner_normals.astype(np.float64)
    normals[..., stretch.axis] /= slope
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return replace(
        mesh,
        vertices=vertices.astype(np.float32),
        corner_normals=normals.astype(np.float32),
    )


@dataclass(frozen=True)
class Following:
    """How far keypoints follow a deformation: 1 as if glued to the surface, 0 not at all."""

    slope: float
    """Least squares of the keypoints' displacement over that of the surface there."""
    correlation: float
    """Of the two."""
    keypoints: int
    """Pairs of displacements that these are made of."""


def measure_following(
    moved: Sequence[FloatArray], surface: Sequence[FloatArray]
) -> Following | None:
    """Regress displacements of keypoints on those of the surface.

    The mean over the keypoints of each object is taken out first: keypoints that all move alike, as
    a rigid structure put into the middle of the stretched object would, do not follow. None if the
    surface moves alike at all keypoints.

    Args:
        moved: for each object and stretch, the displacement of its keypoints along the axis, (N,).
        surface: that of the surface where they sit, (N,).
    """
    d = np.concatenate([values - values.mean() for values in moved])
    D = np.concatenate([values - values.mean() for values in surface])
    if not (D**2).sum() > 1e-12:
        return None
    spread = float(np.sqrt((d**2).sum() * (D**2).sum()))
    return Following(
        slope=float((d * D).sum() / (D**2).sum()),
        correlation=float((d * D).sum() / spread) if spread > 1e-12 else 0.0,
        keypoints=len(d),
    )


def _progress(x: FloatArray, stretch: Stretch, bounds: FloatArray, direction: int) -> FloatArray:
    """0 at the middle and beyond, 1 at the end of the object."""
    middle = bounds[:, stretch.axis].mean()
    return np.clip(direction * (x - middle) / _length(stretch, bounds, direction), 0, 1)


def _length(stretch: Stretch, bounds: FloatArray, direction: int) -> float:
    """From the middle to the end of the object."""
    middle = float(bounds[:, stretch.axis].mean())
    end = float(bounds[1 if direction > 0 else 0, stretch.axis])
    return max(abs(end - middle), 1e-6)
