"""Random changes of a mesh: other shapes, colours and textures, so that few serve for many."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kp3d_core.objects.meshes.deformation import LARGEST, deformed
from kp3d_core.objects.meshes.painting import box_coordinates, draw_paint, draw_pattern, draw_tint
from kp3d_core.rendering.mesh import Material, Mesh
from kp3d_core.rendering.normals import corner_normals

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Variation:
    """How far a mesh is changed."""

    stretch: float = 0.12
    """Largest relative change of each axis before the mesh is brought back to model units."""
    deformation: float = 0.1
    """Largest displacement of a point by smooth changes of the shape [model units]."""
    repaint_probability: float = 0.7
    """Share of objects whose material of the largest area gets another colour, or whose textures
    get other hues."""
    color: float = 0.25
    """Largest relative change of brightness, and half of it of each channel, of every material."""
    random_surface_probability: float = 0.15
    """Share of objects on which every material gets a random colour."""
    pattern_probability: float = 0.2
    """Share of objects on which materials, half of them by chance, get a random pattern."""

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = [
            f"{name} must be in [0, {most}], got {getattr(self, name)}"
            for name, most in (
                ("stretch", 0.9),
                ("deformation", LARGEST),
                ("repaint_probability", 1),
                ("color", 1),
                ("random_surface_probability", 1),
                ("pattern_probability", 1),
            )
            if not 0 <= getattr(self, name) <= most
        ]
        if problems:
            raise ValueError("Settings of variation are wrong: " + "; ".join(problems) + ".")


def vary(
    mesh: Mesh, variation: Variation, rng: np.random.Generator, symmetry: str = "none"
) -> Mesh:
    """Another object of the same kind, in model units.

    Args:
        mesh: in model units.
        variation: how far it is changed.
        rng: decides how.
        symmetry: that the shape keeps, one of `geometry.symmetry.SYMMETRIES`.
    """
    factors = 1 + rng.uniform(-variation.stretch, variation.stretch, 3)
    if symmetry == "full":
        factors[1] = factors[0]
    vertices = mesh.vertices.astype(np.float64)
    vertices = deformed(vertices, variation.deformation, symmetry, rng) * factors
    used = vertices[mesh.faces.ravel()]
    low, high = used.min(axis=0), used.max(axis=0)
    vertices = (vertices - (low + high) / 2) / (float((high - low).max()) / 2)
    shaped = replace(
        mesh,
        vertices=vertices.astype(np.float32),
        corner_normals=corner_normals(vertices, mesh.faces.astype(np.int64)).astype(np.float32),
    )
    return _repainted(shaped, variation, rng)


def _repainted(mesh: Mesh, variation: Variation, rng: np.random.Generator) -> Mesh:
    all_random = rng.random() < variation.random_surface_probability
    main = int(np.argmax(_areas(mesh)))
    repaint = rng.random() < variation.repaint_probability
    paint = draw_paint(rng)
    patterned = rng.random() < variation.pattern_probability
    materials: list[Material] = []
    corner_uv = mesh.corner_uv.copy()
    for number, material in enumerate(mesh.materials):
        color = np.asarray(material.base_color, np.float64)
        texture, opacity = material.texture, material.texture_opacity
        if all_random:
            color = rng.random(3)
        elif repaint and number == main:
            color = paint if texture is None else 0.3 + 0.7 * paint
        if texture is not None and repaint:
            texture = draw_tint(texture, rng)
        if patterned and rng.random() < 0.5:
            texture, opacity, color = draw_pattern(rng), None, np.ones(3)
            faces = mesh.material_ids == number
            corner_uv[faces] = box_coordinates(mesh, faces, rng.uniform(0.3, 3.0))
        color = color * (1 + rng.uniform(-variation.color, variation.color))
        color = color * (1 + rng.uniform(-variation.color, variation.color, 3) / 2)
        shown = np.clip(color, 0, 1).astype(np.float32)
        materials.append(
            replace(material, base_color=shown, texture=texture, texture_opacity=opacity)
        )
    return replace(mesh, corner_uv=corner_uv, materials=tuple(materials))


def _areas(mesh: Mesh) -> FloatArray:
    """Surface of each material."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    totals = np.bincount(mesh.material_ids, area, minlength=len(mesh.materials))
    return np.asarray(totals, np.float64)
