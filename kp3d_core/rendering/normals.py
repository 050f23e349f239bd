"""Shading normals of triangles: smooth across flat edges, sharp across creases."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CREASE_ANGLE_DEG = 40.0
"""Edges that bend more than this stay sharp; flatter ones are shaded smoothly."""


def corner_normals(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int64],
    crease_angle_deg: float = CREASE_ANGLE_DEG,
) -> NDArray[np.float64]:
    """Unit normals per face corner, shape (F, 3, 3), smooth across edges flatter than the crease.

    The normal of a corner is the area-weighted mean over the faces at that vertex whose own normals
    lie within the crease angle of this face's.
    """
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area_normal = np.cross(b - a, c - a)
    length = np.linalg.norm(area_normal, axis=1, keepdims=True)
    normal = np.where(length > 0.0, area_normal / np.maximum(length, 1e-300), [0.0, 0.0, 1.0])

    corner_vertex = faces.ravel()
    order = np.argsort(corner_vertex, kind="stable")
    valence = np.bincount(corner_vertex, minlength=len(vertices))
    first = np.concatenate([[0], np.cumsum(valence)[:-1]])
    count = valence[corner_vertex]
    corner = np.repeat(np.arange(len(corner_vertex)), count)
    step = np.arange(len(corner)) - np.repeat(np.cumsum(count) - count, count)
    neighbour_face = order[first[corner_vertex[corner]] + step] // 3

    cosine = np.einsum("ij,ij->i", normal[corner // 3], normal[neighbour_face])
    joined = cosine >= np.cos(np.radians(crease_angle_deg))
    corner, neighbour_face = corner[joined], neighbour_face[joined]
    total = np.stack(
        [
            np.bincount(corner, area_normal[neighbour_face, k], minlength=len(corner_vertex))
            for k in range(3)
        ],
        axis=-1,
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    own = np.repeat(normal, 3, axis=0)
    # A sliver without area keeps the plain face normal.
    unit = np.where(length > 1e-20, total / np.maximum(length, 1e-20), own)
    return unit.reshape(-1, 3, 3)
