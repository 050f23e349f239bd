"""Triangle meshes with textured materials: what the renderer draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray


class Finish(TypedDict):
    """Fields of a `Material` beside its colours."""

    metallic: float
    roughness: float
    opacity: float


@dataclass(frozen=True)
class Material:
    """Surface colour of a group of triangles; albedo = base_color * texture."""

    name: str
    base_color: NDArray[np.float32]
    """Display-space RGB in 0..1, shape (3,)."""
    texture: NDArray[np.uint8] | None = None
    """RGB image, shape (H, W, 3), repeated outside [0, 1]; v points up as in OBJ files."""
    metallic: float = 0.0
    """0 = paint, plastic, wood, glass; 1 = bare metal. As in glTF; only `lit` reads it."""
    roughness: float = 0.5
    """0 = mirror-like, 1 = matt. As in glTF; only `lit` reads it."""
    opacity: float = 1.0
    """Below 1 the surface is a pane that shows what lies behind it; only `lit` reads it."""
    texture_opacity: NDArray[np.uint8] | None = None
    """Opacity of each texel, shape (H, W), 255 = as the material's; needs a texture."""


@dataclass(frozen=True)
class Mesh:
    """Triangles in the object frame (x forward, y left, z up) with per-corner shading data.

    Normals and texture coordinates belong to face corners, not vertices, so that a sharp edge or a
    texture seam needs no duplicated vertex.
    """

    vertices: NDArray[np.float32]
    """Positions, shape (V, 3) [model units unless said otherwise]."""
    faces: NDArray[np.int32]
    """Vertex indices, shape (F, 3), counter-clockwise seen from outside."""
    corner_normals: NDArray[np.float32]
    """Unit normals at the corners of each face, shape (F, 3, 3)."""
    corner_uv: NDArray[np.float32]
    """Texture coordinates at the corners of each face, shape (F, 3, 2)."""
    material_ids: NDArray[np.int32]
    """Index into `materials` per face, shape (F,)."""
    materials: tuple[Material, ...]

    def __post_init__(self) -> None:
        """Check shapes and index ranges, and report all problems at once."""
        n_faces = len(self.faces)
        expected = {
            "vertices": (len(self.vertices), 3),
            "faces": (n_faces, 3),
            "corner_normals": (n_faces, 3, 3),
            "corner_uv": (n_faces, 3, 2),
            "material_ids": (n_faces,),
        }
        problems = [
            f"{name} must have shape {shape}, got {getattr(self, name).shape}"
            for name, shape in expected.items()
            if getattr(self, name).shape != shape
        ]
        if not problems and n_faces:
            if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
                problems.append(f"faces must index {len(self.vertices)} vertices")
            if self.material_ids.min() < 0 or self.material_ids.max() >= len(self.materials):
                problems.append(f"material_ids must index {len(self.materials)} materials")
        if problems:
            raise ValueError("Mesh is inconsistent: " + "; ".join(problems) + ".")

    @property
    def bounds(self) -> NDArray[np.float32]:
        """Axis-aligned bounding box, shape (2, 3): minimum, maximum."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])
