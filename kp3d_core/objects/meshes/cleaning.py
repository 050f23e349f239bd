"""What is wrong with a mesh: mended where that is safe, named always."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kp3d_core.objects.meshes.simplification import simplified
from kp3d_core.rendering.mesh import Mesh
from kp3d_core.rendering.normals import corner_normals

FloatArray = NDArray[np.float64]

MAX_FACES = 30_000
"""Meshes of more faces are simplified: objects are drawn a hundred pixels wide."""
_FLAT = 1e-3
"""A box thinner than this share of its longest side is no solid object."""
_GAP = 0.2
"""Parts farther apart than this share of the whole are several objects, if both are large."""
_LARGE = 0.3
"""Parts smaller than this share of the largest one belong to it, wherever they are."""


def cleaned(mesh: Mesh) -> tuple[Mesh, list[str]]:
    """A mesh that can be rendered, and what was found and mended on the way.

    Raises:
        ValueError: it cannot serve as an object; the text is the reason.
    """
    notes: list[str] = []
    if not len(mesh.faces):
        raise ValueError("it holds no triangles")
    broken = ~np.asarray(np.isfinite(mesh.vertices[mesh.faces]).all(axis=(1, 2)))
    mesh = _without(mesh, broken, notes, "broken")
    mesh = _without(mesh, _degenerate(mesh), notes, "degenerate")
    mesh = _without(mesh, _doubled(mesh), notes, "doubled")
    if len(mesh.faces) < 8:
        raise ValueError(f"only {len(mesh.faces)} usable triangles are left")
    extents = np.ptp(mesh.vertices[mesh.faces.ravel()], axis=0).astype(np.float64)
    if extents.min() < _FLAT * extents.max():
        raise ValueError("it is flat: its box has no thickness")
    _refuse_several(mesh)
    if len(mesh.faces) > MAX_FACES:
        before = len(mesh.faces)
        mesh = simplified(mesh, MAX_FACES)
        notes.append(f"{before:,} faces simplified to {len(mesh.faces):,}")
    if _volume(mesh) < 0:
        mesh = replace(mesh, faces=np.ascontiguousarray(mesh.faces[:, ::-1]),
                       corner_uv=np.ascontiguousarray(mesh.corner_uv[:, ::-1]))  # fmt: skip
        notes.append("was inside out: faces turned")
    normals = corner_normals(mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64))
    return replace(mesh, corner_normals=normals.astype(np.float32)), notes


def _without(mesh: Mesh, bad: NDArray[np.bool_], notes: list[str], kind: str) -> Mesh:
    """The mesh without some faces, which are counted."""
    count = int(bad.sum())
    if not count:
        return mesh
    notes.append(f"{count:,} {kind} {'face' if count == 1 else 'faces'} left out")
    return replace(
        mesh,
        faces=mesh.faces[~bad],
        corner_normals=mesh.corner_normals[~bad],
        corner_uv=mesh.corner_uv[~bad],
        material_ids=mesh.material_ids[~bad],
    )


def _degenerate(mesh: Mesh) -> NDArray[np.bool_]:
    """Faces without area, measured by the size of the whole."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    size = float(np.ptp(corners.reshape(-1, 3), axis=0).max()) if len(corners) else 1.0
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    return np.asarray(area <= 1e-12 * max(size, 1e-30) ** 2)


def _doubled(mesh: Mesh) -> NDArray[np.bool_]:
    """Faces whose corners are those of an earlier one, whichever way round."""
    key = np.sort(mesh.faces, axis=1)
    _, first = np.unique(key, axis=0, return_index=True)
    bad = np.ones(len(key), bool)
    bad[first] = False
    return bad


def _refuse_several(mesh: Mesh) -> None:
    """Refuse a file in which several large things stand apart.

    Raises:
        ValueError: there are such.
    """
    boxes = component_boxes(mesh)
    points = mesh.vertices[mesh.faces.ravel()]
    whole = float(np.ptp(points, axis=0).max())
    # Boxes that touch, or nearly, are one thing: grow and join until nothing changes.
    merged: list[FloatArray] = []
    for box in boxes:
        box = box.copy()
        while near := [m for m in merged if _distance(m, box) < _GAP * whole]:
            box = np.stack(
                [np.min([m[0] for m in near] + [box[0]], axis=0),
                 np.max([m[1] for m in near] + [box[1]], axis=0)]
            )  # fmt: skip
            merged = [m for m in merged if not any(m is other for other in near)]
        merged.append(box)
    sizes = [float(np.ptp(m, axis=0).max()) for m in merged]
    large = [size for size in sizes if size > _LARGE * max(sizes)]
    if len(large) > 1:
        raise ValueError(f"it holds {len(large)} objects that stand apart: one object a file")


def component_boxes(mesh: Mesh) -> list[FloatArray]:
    """Bounding box, shape (2, 3), of each connected part."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(mesh.vertices)
    a, b, c = mesh.faces.T
    links = np.concatenate([a, b]), np.concatenate([b, c])
    graph = coo_matrix((np.ones(len(links[0]), np.int8), links), shape=(count, count))
    total, label = connected_components(graph, directed=False)
    used = np.unique(mesh.faces)
    low, high = np.full((total, 3), np.inf), np.full((total, 3), -np.inf)
    np.minimum.at(low, label[used], mesh.vertices[used])
    np.maximum.at(high, label[used], mesh.vertices[used])
    there = np.isfinite(low[:, 0])
    order = np.argsort(-np.ptp(np.stack([low[there], high[there]]), axis=0).max(axis=1))
    return [np.stack([low[there][k], high[there][k]]) for k in order]


def _distance(first: FloatArray, second: FloatArray) -> float:
    """Gap between two boxes along the axis on which they are farthest apart; 0 if they touch."""
    return float(np.maximum(first[0] - second[1], second[0] - first[1]).max(initial=0.0))


def _volume(mesh: Mesh) -> float:
    """Signed volume of a surface, about its middle; near 0 for open sheets."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    corners = corners - corners.reshape(-1, 3).mean(axis=0)
    products = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    return float(products.sum() / 6.0)
