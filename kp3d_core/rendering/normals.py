"""Shading normals of triangles: smooth across flat edges, sharp across creases."""

from __future__ import annotations

import math
from typing import no_type_check

import numpy as np
from numba import njit
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
    count = np.bincount(corner_vertex, minlength=len(vertices))
    first = np.concatenate([[0], np.cumsum(count)])
    joined = float(np.cos(np.radians(crease_angle_deg)))
    unit = np.empty((len(faces), 3, 3))
    _join(faces, order // 3, first, area_normal, normal, joined, unit)
    return unit


@njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def _join(faces, face_at, first, area_normal, normal, joined, unit):
    """Write the mean normal of every corner; the faces at vertex v are those from `first[v]` on."""
    for f in range(faces.shape[0]):
        for k in range(3):
            v = faces[f, k]
            x = y = z = 0.0
            for i in range(first[v], first[v + 1]):
                g = face_at[i]
                cosine = (
                    normal[f, 0] * normal[g, 0]
                    + normal[f, 1] * normal[g, 1]
                    + normal[f, 2] * normal[g, 2]
                )
                if cosine >= joined:
                    x += area_normal[g, 0]
                    y += area_normal[g, 1]
                    z += area_normal[g, 2]
            length = math.sqrt(x * x + y * y + z * z)
            # A sliver without area keeps the plain face normal.
            if length > 1e-20:
                unit[f, k, 0], unit[f, k, 1], unit[f, k, 2] = x / length, y / length, z / length
            else:
                unit[f, k, 0], unit[f, k, 1], unit[f, k, 2] = (
                    normal[f, 0], normal[f, 1], normal[f, 2],
                )  # fmt: skip
