"""Random changes of a mesh: other proportions and colours, so that few meshes serve for many."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kp3d_core.rendering.mesh import Material, Mesh
from kp3d_core.rendering.normals import corner_normals

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Variation:
    """How far a mesh is changed."""

    stretch: float = 0.12
    """Largest relative change of each axis before the mesh is brought back to model units."""
    repaint_probability: float = 0.7
    """Share of objects whose material of the largest area gets another colour."""
    color: float = 0.25
    """Largest relative change of brightness, and half of it of each channel, of every material."""
    random_surface_probability: float = 0.15
    """Share of objects on which every material gets a random colour."""


def vary(mesh: Mesh, variation: Variation, rng: np.random.Generator) -> Mesh:
    """Another object of the same kind, in model units."""
    factors = 1 + rng.uniform(-variation.stretch, variation.stretch, 3)
    vertices = mesh.vertices.astype(np.float64) * factors
    used = vertices[mesh.faces.ravel()]
    low, high = used.min(axis=0), used.max(axis=0)
    vertices = (vertices - (low + high) / 2) / (float((high - low).max()) / 2)
    return replace(
        mesh,
        vertices=vertices.astype(np.float32),
        corner_normals=corner_normals(vertices, mesh.faces.astype(np.int64)).astype(np.float32),
        materials=_repainted(mesh, variation, rng),
    )


def _repainted(mesh: Mesh, variation: Variation, rng: np.random.Generator) -> tuple[Material, ...]:
    all_random = rng.random() < variation.random_surface_probability
    main = int(np.argmax(_areas(mesh)))
    repaint = rng.random() < variation.repaint_probability
    paint = _draw_paint(rng)
    materials = []
    for number, material in enumerate(mesh.materials):
        color = np.asarray(material.base_color, np.float64)
        if all_random:
            color = rng.random(3)
        elif repaint and number == main:
            color = paint if material.texture is None else 0.3 + 0.7 * paint
        color = color * (1 + rng.uniform(-variation.color, variation.color))
        color = color * (1 + rng.uniform(-variation.color, variation.color, 3) / 2)
        materials.append(replace(material, base_color=np.clip(color, 0, 1).astype(np.float32)))
    return tuple(materials)


def _areas(mesh: Mesh) -> FloatArray:
    """Surface of each material."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    totals = np.bincount(mesh.material_ids, area, minlength=len(mesh.materials))
    return np.asarray(totals, np.float64)


def _draw_paint(rng: np.random.Generator) -> FloatArray:
    """A colour as things are painted: half of them without hue, from black to white."""
    if rng.random() < 0.5:
        return rng.uniform(0.03, 0.97) * rng.uniform(0.95, 1.0, 3)
    hue, saturation, value = rng.random(), rng.uniform(0.2, 0.95), rng.uniform(0.2, 0.95)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value))
