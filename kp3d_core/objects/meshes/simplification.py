"""Fewer faces: vertices of a cell of a grid become one. Keeps textures, stands any input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kp3d_core.rendering.mesh import Mesh

_MAX_CELLS = 1024


def simplified(mesh: Mesh, max_faces: int) -> Mesh:
    """The mesh on the finest grid that leaves at most `max_faces` faces.

    Reference: Rossignac, Borrel, Multi-resolution 3D approximations for rendering complex scenes,
    1993 (vertex clustering).
    """
    low, high = 4, _MAX_CELLS
    while high - low > 8:
        middle = (low + high) // 2
        if _surviving(mesh, _cells(mesh, middle)).sum() > max_faces:
            high = middle
        else:
            low = middle
    cell = _cells(mesh, low)
    keep = _surviving(mesh, cell)
    count = int(cell.max()) + 1
    used = np.unique(mesh.faces)
    size = np.bincount(cell[used], minlength=count)
    vertices = np.stack(
        [np.bincount(cell[used], mesh.vertices[used, k], minlength=count) for k in range(3)], -1
    )
    return replace(
        mesh,
        vertices=(vertices / np.maximum(size, 1)[:, None]).astype(np.float32),
        faces=cell[mesh.faces[keep]].astype(np.int32),
        corner_normals=mesh.corner_normals[keep],
        corner_uv=mesh.corner_uv[keep],
        material_ids=mesh.material_ids[keep],
    )


def _cells(mesh: Mesh, cells: int) -> NDArray[np.int64]:
    """Number of the occupied cell of each vertex, on a grid of `cells` along the longest side."""
    vertices = mesh.vertices.astype(np.float64)
    low = vertices.min(axis=0)
    step = max(float((vertices.max(axis=0) - low).max()), 1e-30) / cells
    index = np.minimum((vertices - low) / step, cells - 1).astype(np.int64)
    key = (index[:, 0] * cells + index[:, 1]) * cells + index[:, 2]
    return np.asarray(np.unique(key, return_inverse=True)[1]).reshape(-1).astype(np.int64)


def _surviving(mesh: Mesh, cell: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Faces whose corners stay apart, and of those that fall on each other the first one."""
    corners = np.sort(cell[mesh.faces], axis=1)
    apart = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2])
    number = np.flatnonzero(apart)
    _, first = np.unique(corners[apart], axis=0, return_index=True)
    keep = np.zeros(len(corners), bool)
    keep[number[first]] = True
    return keep
