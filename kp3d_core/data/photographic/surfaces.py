"""Random changes of what surfaces are made of: shinier or duller, clearer or darker panes; or any.

Shapes and landmarks stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.rendering.mesh import Material, Mesh

FloatArray = NDArray[np.float64]
_SIZE = 64
"""Of made-up textures [px]."""


def vary_finishes(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """The same object with other roughness, metal flakes in some paint, other panes."""
    gloss = math.exp(rng.uniform(-0.9, 0.9))  # of the whole object: new or worn
    pane = float(rng.uniform(0.12, 0.7)) if rng.random() < 0.75 else 1.0
    metallic = float(rng.uniform(0.2, 0.8)) if rng.random() < 0.3 else 0.0
    return replace(
        mesh,
        materials=tuple(_varied(m, gloss, pane, metallic, rng) for m in mesh.materials),
    )


def _varied(
    material: Material, gloss: float, pane: float, metallic: float, rng: np.random.Generator
) -> Material:
    roughness = material.roughness * gloss * math.exp(rng.uniform(-0.3, 0.3))
    shiny = material.roughness < 0.25
    opacity, of_texels = material.opacity, material.texture_opacity
    if of_texels is not None:
        of_texels = np.where(of_texels < 250, np.uint8(round(255 * pane)), np.uint8(255))
    elif opacity < 0.98:
        opacity = float(np.clip(opacity * pane / 0.4, 0.1, 1.0))
    return replace(
        material,
        roughness=float(np.clip(roughness, 0.02, 1.0)),
        metallic=max(material.metallic, metallic if shiny else 0.0),
        opacity=opacity,
        texture_opacity=of_texels,
    )


def random_surfaces(
    mesh: Mesh, rng: np.random.Generator, photographs: NDArray[np.uint8] | None = None
) -> Mesh:
    """The same shape in random colours, patterns and pieces of photographs.

    Every material gets another one with a probability that is drawn for the object. Textures are
    laid onto faces from the side they face, whatever texture coordinates there were.

    Args:
        mesh: in model units.
        rng: draws everything.
        photographs: (P, 3, S, S) to take pieces of.
    """
    share = rng.uniform(0.4, 1.0)
    materials = list(mesh.materials)
    uv = np.array(mesh.corner_uv)
    for number, material in enumerate(materials):
        if rng.random() >= share:
            continue
        image = _random_texture(rng, photographs) if rng.random() < 0.6 else None
        materials[number] = Material(
            name=material.name,
            base_color=(np.ones(3) if image is not None else rng.random(3)).astype(np.float32),
            texture=image,
            metallic=float(rng.random() < 0.15),
            roughness=float(rng.uniform(0.05, 1.0)),
        )
        chosen = mesh.material_ids == number
        if image is not None and chosen.any():
            uv[chosen] = _box_projection(mesh, chosen, rng.uniform(0.4, 3.0))
    return replace(mesh, materials=tuple(materials), corner_uv=uv.astype(np.float32))


def _box_projection(mesh: Mesh, faces: NDArray[np.bool_], scale: float) -> FloatArray:
    """Texture coordinates of faces seen along the axis that they face most, (F, 3, 2)."""
    corners = mesh.vertices[mesh.faces[faces]].astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    axis = np.argmax(np.abs(normal), axis=1)
    first, second = np.array([1, 0, 0])[axis], np.array([2, 2, 1])[axis]
    rows = np.arange(len(corners))[:, None]
    corner = np.arange(3)[None]
    uv = np.stack(
        [corners[rows, corner, first[:, None]], corners[rows, corner, second[:, None]]], axis=-1
    )
    return np.asarray(scale * uv)


def _random_texture(
    rng: np.random.Generator, photographs: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    """Noise, stripes, checks, or a piece of a photograph, (64, 64, 3)."""
    if photographs is not None and rng.random() < 0.5:
        picture = photographs[rng.integers(len(photographs))].transpose(1, 2, 0)
        side = int(rng.integers(picture.shape[0] // 4, picture.shape[0] + 1))
        top, left = rng.integers(0, picture.shape[0] - side + 1, 2)
        piece = picture[top : top + side, left : left + side]
        return np.asarray(cv2.resize(piece, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA), np.uint8)
    colors = rng.random((2, 3))
    v, u = np.mgrid[0:_SIZE, 0:_SIZE] / _SIZE
    kind = int(rng.integers(3))
    n, m = rng.integers(1, 9, 2)
    if kind == 0:
        cells = rng.random((int(rng.integers(2, 17)),) * 2).astype(np.float32)
        share = cv2.resize(cells, (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC).astype(np.float64)
    elif kind == 1:
        share = ((n * u + (m - 1) * v) % 1.0 < rng.uniform(0.2, 0.8)).astype(np.float64)
    else:
        share = ((np.floor(n * u) + np.floor(m * v)) % 2).astype(np.float64)
    image = colors[0] + np.clip(share, 0, 1)[..., None] * (colors[1] - colors[0])
    return np.round(255 * image).astype(np.uint8)
