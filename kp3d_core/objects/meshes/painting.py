"""Random colours and patterns of surfaces."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.rendering.mesh import Mesh

FloatArray = NDArray[np.float64]
_SIZE = 64
"""Of a pattern [px]."""


def draw_paint(rng: np.random.Generator) -> FloatArray:
    """A colour as things are painted: half of them without hue, from black to white."""
    if rng.random() < 0.5:
        return rng.uniform(0.03, 0.97) * rng.uniform(0.95, 1.0, 3)
    hue, saturation, value = rng.random(), rng.uniform(0.2, 0.95), rng.uniform(0.2, 0.95)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def draw_pattern(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Two colours mixed by random cells: stripes, checks, blobs or clouds, (S, S, 3)."""
    shape = 2 ** rng.integers(0, 4, 2)
    shape[rng.integers(2)] *= 2  # one cell alone would be no pattern
    how = cv2.INTER_NEAREST if rng.random() < 0.5 else cv2.INTER_CUBIC
    cells = cv2.resize(rng.random(tuple(shape)), (_SIZE, _SIZE), interpolation=how)
    if rng.random() < 0.5:
        cells = cells > np.median(cells)
    share = np.clip(cells, 0, 1)[..., None]
    mixed = (1 - share) * draw_paint(rng) + share * draw_paint(rng)
    return np.round(255 * mixed).astype(np.uint8)


def draw_tint(texture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """An image with all hues turned by the same angle, and another saturation and contrast."""
    hsv = cv2.cvtColor(texture, cv2.COLOR_RGB2HSV).astype(np.int32)
    hsv[..., 0] = (hsv[..., 0] + rng.integers(180)) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.3, 1.5), 0, 255)
    rgb = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB) / 255.0
    return np.round(255 * rgb ** np.exp(rng.uniform(-0.7, 0.7))).astype(np.uint8)


def box_coordinates(mesh: Mesh, faces: NDArray[np.bool_], repeats: float) -> NDArray[np.float32]:
    """Texture coordinates (K, 3, 2) of some faces, each seen along the axis it faces most.

    Args:
        mesh: in model units.
        faces: (F,) which.
        repeats: how often an image is repeated on a model unit.
    """
    corners = mesh.vertices[mesh.faces[faces]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    others = np.array([[1, 2], [0, 2], [0, 1]])[np.abs(normals).argmax(axis=1)]
    seen = np.take_along_axis(corners, others[:, None].repeat(3, 1), axis=2)
    return np.ascontiguousarray(repeats * seen, np.float32)
