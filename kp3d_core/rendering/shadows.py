"""Shadow maps: how far light from fixed directions gets, drawn once an object for all its views."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kp3d_core.rendering import kernels

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ShadowMaps:
    """Orthographic maps along several directions, all of one size."""

    directions: FloatArray
    """Unit vectors towards the light, object frame, (L, 3)."""
    across: FloatArray
    """Rows of two vectors an image: position @ across[l].T + half = column and row, (L, 2, 3)."""
    reach: NDArray[np.float32]
    """Position . direction of what the light meets first, -inf = nothing, (L, size, size)."""
    texel: float
    """Side of a texel [model units]."""


def shadow_maps(
    vertices: FloatArray, faces: NDArray[np.int32], directions: ArrayLike, size: int
) -> ShadowMaps:
    """Draw an object from where the light comes.

    Args:
        vertices: object frame, (V, 3).
        faces: those that cast a shadow, (F, 3).
        directions: towards the lights, (L, 3).
        size: width and height of the maps.
    """
    towards = np.asarray(directions, np.float64).reshape(-1, 3)
    towards = towards / np.linalg.norm(towards, axis=1, keepdims=True)
    finite = vertices[np.isfinite(vertices).all(axis=1)]
    radius = float(np.linalg.norm(finite, axis=1).max()) if len(finite) else 1.0
    texel = 2.02 * radius / (size - 2)  # an empty texel all around: beyond the map there is light
    across = np.stack([_frame(direction) for direction in towards]) / texel
    reach = np.full((len(towards), size, size), -np.inf, np.float32)
    middle = (size - 1) / 2
    is_front = np.zeros(len(faces), np.uint8)
    for number, direction in enumerate(towards):
        xy = vertices @ across[number].T + middle
        # The kernel wants something positive that is linear on the screen and grows towards the
        # viewer: in a parallel projection that is the distance itself, shifted.
        height = vertices @ direction + 2 * radius
        height = np.where(np.isfinite(height) & np.isfinite(xy).all(axis=1), height, 0.0)
        nearest, owner = np.zeros((size, size)), np.full((size, size), -1, np.int32)
        kernels.resolve_visibility(
            np.ascontiguousarray(xy[:, 0]), np.ascontiguousarray(xy[:, 1]), height, faces,
            nearest, owner, is_front,
        )  # fmt: skip
        hit = owner >= 0
        reach[number][hit] = nearest[hit] - 2 * radius
    return ShadowMaps(towards, across, reach, texel)


def coarse(
    vertices: FloatArray, faces: NDArray[np.int32], most: int, cell: float
) -> tuple[FloatArray, NDArray[np.int32]]:
    """The same surface on a grid, for soft shadows of fine meshes; small ones stay as they are.

    Args:
        vertices: object frame, (V, 3).
        faces: (F, 3).
        most: meshes with fewer faces stay as they are.
        cell: side of the grid's cells, about a texel of the maps [model units].

    Returns:
        Vertices and faces, those that a cell swallows left out.
    """
    if len(faces) < most:
        return vertices, faces
    place = np.floor(np.nan_to_num(vertices) / cell).astype(np.int64)
    place -= place.min(axis=0)
    span = place.max(axis=0) + 1
    number = (place[:, 0] * span[1] + place[:, 1]) * span[2] + place[:, 2]
    _, index = np.unique(number, return_inverse=True)
    index = index.reshape(-1)
    count = np.bincount(index)
    middle = [np.bincount(index, vertices[:, k]) / count for k in range(3)]
    kept = np.sort(index[faces], axis=1)
    kept = kept[(kept[:, 0] != kept[:, 1]) & (kept[:, 1] != kept[:, 2])]
    code = (kept[:, 0] * len(count) + kept[:, 1]) * len(count) + kept[:, 2]
    _, unique = np.unique(code, return_index=True)
    return np.stack(middle, axis=-1), np.ascontiguousarray(kept[unique], dtype=np.int32)


def _frame(direction: FloatArray) -> FloatArray:
    """Two unit vectors at right angles to a direction, (2, 3)."""
    helper = np.eye(3)[int(np.argmin(np.abs(direction)))]
    first = np.cross(helper, direction)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(direction, first)])
