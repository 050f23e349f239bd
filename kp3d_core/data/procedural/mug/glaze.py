"""What is painted on the outside of a mug."""

from __future__ import annotations

import cv2
import numpy as np

from kp3d_core.data.procedural.mug.parameters import MugShape, MugStyle
from kp3d_core.data.procedural.primitives import FloatArray, Surface, plain, textured
from kp3d_core.data.procedural.textures import Canvas, planar_projection, random_word

_SIZE_PX = 96
_Z = np.array([0.0, 0.0, 1.0])


def outside_surfaces(
    shape: MugShape, style: MugStyle, rng: np.random.Generator
) -> tuple[Surface, Surface]:
    """Surfaces of the left (y > 0) and the right half, painted alike, each seen straight on."""
    if style.pattern == "plain":
        surface = plain("glaze", style.outside)
        return surface, surface
    width = 2.4 * shape.rim_radius * (1.0 + abs(shape.belly) + shape.lip)
    middle = [0.0, 0.0, 0.5 * shape.height]
    # Who looks at the left side, along -y, has -x to the right.
    left, right = (
        planar_projection(sign * np.array([-1.0, 0.0, 0.0]), _Z, middle, width, shape.height)
        for sign in (1.0, -1.0)
    )
    image = _paint(shape, style, left, rng)
    return textured("glaze", image, left), textured("glaze", image, right)


def _paint(
    shape: MugShape, style: MugStyle, projection: FloatArray, rng: np.random.Generator
) -> np.ndarray:
    canvas = Canvas(projection, _SIZE_PX, _SIZE_PX, style.outside)
    v, u = np.mgrid[0:_SIZE_PX, 0:_SIZE_PX] / _SIZE_PX
    share = np.zeros((_SIZE_PX, _SIZE_PX))
    count = int(rng.integers(2, 6))
    if style.pattern == "bands":
        edges = np.sort(rng.uniform(0.05, 0.95, 2 * int(rng.integers(1, 4))))
        share = (np.searchsorted(edges, v) % 2).astype(np.float64)
    elif style.pattern == "dip":
        wave = 0.04 * np.sin(2.0 * np.pi * (u * count + rng.random()))
        share = (v + wave > rng.uniform(0.3, 0.8)).astype(np.float64)
        share = share if rng.random() < 0.5 else 1.0 - share
    elif style.pattern == "checks":
        share = ((np.floor(2 * count * u) + np.floor(2 * count * v)) % 2).astype(np.float64)
    elif style.pattern == "dots":
        radius = ((2 * count * u) % 1.0 - 0.5) ** 2 + ((2 * count * v) % 1.0 - 0.5) ** 2
        share = (radius < rng.uniform(0.03, 0.12)).astype(np.float64)
    elif style.pattern == "blobs":
        share = np.clip(4.0 * _noise(rng, int(rng.integers(3, 8))), 0.0, 1.0)
    elif style.pattern == "speckles":
        share = (rng.random((_SIZE_PX, _SIZE_PX)) < rng.uniform(0.01, 0.08)).astype(np.float64)
    image = 255.0 * (style.outside + share[..., None] * (style.second - style.outside))
    canvas.image[:] = np.clip(image, 0.0, 255.0).astype(np.uint8)
    if style.pattern == "print":
        _print(canvas, shape, style, rng)
    return canvas.image


def _print(canvas: Canvas, shape: MugShape, style: MugStyle, rng: np.random.Generator) -> None:
    """A picture, a badge or words in the middle."""
    middle = np.array([0.0, 0.0, rng.uniform(0.42, 0.62) * shape.height])
    size = rng.uniform(0.14, 0.3) * _SIZE_PX
    third = rng.random(3)
    choice = rng.random()
    if choice < 0.35:
        canvas.ellipse(middle, [size, size * rng.uniform(0.6, 1.0)], style.second)
        canvas.ellipse(middle, [0.6 * size, 0.6 * size], third)
    elif choice < 0.6:
        row, column = canvas.pixels(middle[None])[0][::-1]
        patch = np.clip(0.5 + 0.6 * np.stack([_noise(rng, 5) for _ in range(3)], -1), 0.0, 1.0)
        half = int(size)
        top, left = max(int(row) - half, 0), max(int(column) - half, 0)
        view = canvas.image[top : top + 2 * half, left : left + 2 * half]
        view[:] = (255.0 * patch[: view.shape[0], : view.shape[1]]).astype(np.uint8)
    lines = int(rng.integers(1, 4)) if choice >= 0.5 else int(rng.integers(0, 2))
    for line in range(lines):
        place = middle - np.array([0.0, 0.0, (line - 0.5 * (lines - 1)) * 0.16 * shape.height])
        word = random_word(rng, int(rng.integers(3, 9)))
        canvas.text(word, place, rng.uniform(0.25, 0.5) * _SIZE_PX, style.second)


def _noise(rng: np.random.Generator, cells: int) -> FloatArray:
    """Smooth noise, roughly in -1..1."""
    coarse = rng.uniform(-1.0, 1.0, (cells, cells)).astype(np.float32)
    return cv2.resize(coarse, (_SIZE_PX, _SIZE_PX), interpolation=cv2.INTER_CUBIC).astype(float)
