"""Mesh data laid out as the flat arrays that the compiled kernels read."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.rendering.mesh import Material, Mesh


@dataclass(frozen=True)
class TextureTable:
    """All textures of a mesh, with their mip levels, in one flat array.

    Level l of material m starts at texel `offset[m, l]` and has `width[m, l]` x `height[m, l]`
    texels. A material without a texture has no levels.
    """

    texels: NDArray[np.uint8]
    """RGB and opacity of every texel, shape (texels, 4)."""
    offset: NDArray[np.int64]
    width: NDArray[np.int32]
    height: NDArray[np.int32]
    levels: NDArray[np.int32]
    """Number of mip levels per material, 0 = no texture."""
    base_color: NDArray[np.float64]
    """Shape (materials, 3)."""
    finish: NDArray[np.float64]
    """Metallic, roughness and opacity, shape (materials, 3)."""


@dataclass(frozen=True)
class PackedMesh:
    """A mesh ready for rendering; make it once per mesh with `pack`, use it for every view."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    corner_normals: NDArray[np.float32]
    corner_uv: NDArray[np.float32]
    material_ids: NDArray[np.int32]
    textures: TextureTable


def pack(mesh: Mesh) -> PackedMesh:
    """Convert a mesh to the renderer's layout and build the mip levels of its textures."""
    return PackedMesh(
        vertices=np.ascontiguousarray(mesh.vertices, dtype=np.float64),
        faces=np.ascontiguousarray(mesh.faces, dtype=np.int32),
        corner_normals=np.ascontiguousarray(mesh.corner_normals, dtype=np.float32),
        corner_uv=np.ascontiguousarray(mesh.corner_uv, dtype=np.float32),
        material_ids=np.ascontiguousarray(mesh.material_ids, dtype=np.int32),
        textures=_pack_textures(mesh.materials),
    )


def _pack_textures(materials: tuple[Material, ...]) -> TextureTable:
    chains = [[] if m.texture is None else _mip_chain(m) for m in materials]
    n_materials, n_levels = len(materials), max([1, *map(len, chains)])
    offset = np.zeros((n_materials, n_levels), np.int64)
    width = np.ones((n_materials, n_levels), np.int32)
    height = np.ones((n_materials, n_levels), np.int32)
    flat: list[NDArray[np.uint8]] = []
    position = 0
    for m, chain in enumerate(chains):
        for level, image in enumerate(chain):
            offset[m, level] = position
            height[m, level], width[m, level] = image.shape[:2]
            flat.append(image.reshape(-1, 4))
            position += len(flat[-1])
    colors = [np.asarray(m.base_color, np.float64) for m in materials]
    return TextureTable(
        texels=np.concatenate(flat) if flat else np.zeros((1, 4), np.uint8),
        offset=offset,
        width=width,
        height=height,
        levels=np.array([len(chain) for chain in chains], np.int32),
        base_color=np.array(colors, np.float64).reshape(-1, 3),
        finish=np.array(
            [(m.metallic, m.roughness, m.opacity) for m in materials], np.float64
        ).reshape(-1, 3),
    )


def _mip_chain(material: Material) -> list[NDArray[np.uint8]]:
    """Halve the texture down to 1x1 by area averaging."""
    image = np.asarray(material.texture)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(
            f"Texture of material {material.name!r} must be uint8 of shape (H, W, 3), "
            f"got {image.dtype} of shape {image.shape}. Convert it to 8-bit RGB."
        )
    opacity = material.texture_opacity
    if opacity is None:
        opacity = np.full(image.shape[:2], 255, np.uint8)
    elif opacity.dtype != np.uint8 or opacity.shape != image.shape[:2]:
        raise ValueError(
            f"Opacity of the texture of material {material.name!r} must be uint8 of shape "
            f"{image.shape[:2]} like the texture, got {opacity.dtype} of shape {opacity.shape}."
        )
    chain = [np.ascontiguousarray(np.dstack([image, opacity]))]
    while max(chain[-1].shape[:2]) > 1:
        h, w = chain[-1].shape[:2]
        half_wh = (max(1, w // 2), max(1, h // 2))
        chain.append(cv2.resize(chain[-1], half_wh, interpolation=cv2.INTER_AREA))
    return chain
