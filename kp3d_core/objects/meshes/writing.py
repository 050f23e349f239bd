"""Meshes of the renderer as GLB files, for other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from kp3d_core.files import atomic_writer
from kp3d_core.rendering.mesh import Material, Mesh

_Y_UP_Z_FRONT = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
"""Object frame (x forward, y left, z up) to glTF's (z forward, x left, y up)."""


def write_glb(mesh: Mesh, path: Path, metres_per_unit: float = 1.0) -> None:
    """Write a mesh as glTF 2.0 in one file, +Y up, its front facing +Z.

    Args:
        mesh: in the object frame [model units].
        path: ends in .glb.
        metres_per_unit: size of a model unit [m].
    """
    scene = trimesh.Scene()
    for number, material in enumerate(mesh.materials):
        chosen = mesh.material_ids == number
        if not chosen.any():
            continue
        corners = mesh.vertices[mesh.faces[chosen]].reshape(-1, 3).astype(np.float64)
        normals = mesh.corner_normals[chosen].reshape(-1, 3) @ _Y_UP_Z_FRONT.T
        part = trimesh.Trimesh(
            vertices=metres_per_unit * corners @ _Y_UP_Z_FRONT.T,
            faces=np.arange(len(corners)).reshape(-1, 3),
            vertex_normals=normals,
            process=False,
        )
        clear = material.opacity < 1 or material.texture_opacity is not None
        part.visual = trimesh.visual.TextureVisuals(
            uv=mesh.corner_uv[chosen].reshape(-1, 2).astype(np.float64),
            material=trimesh.visual.material.PBRMaterial(
                name=material.name,
                baseColorFactor=[*np.clip(material.base_color, 0, 1).tolist(), material.opacity],
                baseColorTexture=_picture(material),
                metallicFactor=material.metallic,
                roughnessFactor=material.roughness,
                alphaMode="BLEND" if clear else "OPAQUE",
            ),
        )
        scene.add_geometry(part, geom_name=f"{number}_{material.name}")
    with atomic_writer(path) as stream:
        stream.write(scene.export(file_type="glb"))


def _picture(material: Material) -> Image.Image | None:
    if material.texture is None:
        return None
    if material.texture_opacity is None:
        return Image.fromarray(material.texture)
    return Image.fromarray(np.dstack([material.texture, material.texture_opacity]))
