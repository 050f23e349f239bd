"""Procedural patterns with hard edges: what stands behind an object in a made world.

Each function paints RGB in 0..1, shape (H, W, 3), float32, and draws all its parameters from the
generator. Lengths are shares of the image's smaller side, so that a pattern looks alike in every
resolution.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.procedural.textures import random_word

Image = NDArray[np.float32]
Shape = tuple[int, int]

_TABLE = 61
"""Side of the table of random numbers that cells of a grid take theirs from."""


def bricks(rng: np.random.Generator, shape_hw: Shape) -> Image:
    """Rows of bricks or blocks, each shifted against the next, with mortar."""
    height, width = rng.uniform(0.06, 0.16), rng.uniform(0.14, 0.4)
    u, v = _coordinates(shape_hw)
    row = np.floor(v / height)
    column = np.floor(u / width + rng.uniform(0.3, 0.5) * (row % 2))
    across = u / width + rng.uniform(0.3, 0.5) * (row % 2) - column
    joint = rng.uniform(0.006, 0.016)
    in_joint = (v - row * height < joint) | (np.mod(across, 1.0) * width < joint)
    color = _cell_colors(rng, row, column, some_color(rng), rng.uniform(0.05, 0.2))
    return np.where(in_joint[..., None], some_color(rng), color).astype(np.float32)


def tiles(rng: np.random.Generator, shape_hw: Shape) -> Image:
    """Square tiles, as a chess board or of one colour, straight or turned, with grout."""
    side, angle = rng.uniform(0.07, 0.25), rng.choice([0.0, np.pi / 4, rng.uniform(0, np.pi)])
    u, v = _coordinates(shape_hw)
    a = (np.cos(angle) * u + np.sin(angle) * v) / side
    b = (np.cos(angle) * v - np.sin(angle) * u) / side
    row, column = np.floor(a), np.floor(b)
    first, second = _two_colors(rng)
    if rng.random() < 0.3:
        second = first
    is_odd = np.mod(row + column, 2)[..., None]
    color = first + (second - first) * is_odd
    color = color + _cell_colors(rng, row, column, np.zeros(3), rng.uniform(0.0, 0.08))
    grout = rng.uniform(0.0, 0.06)
    in_grout = (np.mod(a, 1.0) < grout) | (np.mod(b, 1.0) < grout)
    return np.where(in_grout[..., None], some_color(rng), color).astype(np.float32)


def planks(rng: np.random.Generator, shape_hw: Shape) -> Image:
    """Boards with grain and gaps, standing or lying."""
    lying = bool(rng.random() < 0.5)
    h, w = shape_hw if lying else shape_hw[::-1]
    u, v = _coordinates((h, w))
    board = rng.uniform(0.06, 0.2)
    row = np.floor(v / board)
    wood = np.array([0.55, 0.38, 0.22]) * rng.uniform(0.5, 1.6) * rng.uniform(0.85, 1.15, 3)
    color = _cell_colors(rng, row, np.zeros_like(row), wood, rng.uniform(0.04, 0.12))
    coarse = rng.standard_normal((max(4, h // 2), max(2, w // 40))).astype(np.float32)
    grain = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)
    wavy = np.sin(rng.uniform(60, 160) * v + rng.uniform(2, 8) * np.sin(3 * u + row))
    color = color * (1 + 0.08 * grain + 0.06 * wavy)[..., None]
    gap = np.mod(v / board, 1.0) < rng.uniform(0.02, 0.08)
    color = np.where(gap[..., None], 0.25 * wood, color).astype(np.float32)
    upright = color if lying else color.transpose(1, 0, 2)
    return np.ascontiguousarray(upright, np.float32)


def stripes(rng: np.random.Generator, shape_hw: Shape) -> Image:
    """Bars of unequal width in a few colours, in any direction."""
    u, v = _coordinates(shape_hw)
    angle = rng.uniform(0, np.pi)
    along = np.cos(angle) * u + np.sin(angle) * v
    along = along - along.min()
    edges = np.cumsum(rng.uniform(0.3, 1.7, 200) * rng.uniform(0.02, 0.12))
    palette = np.stack([some_color(rng) for _ in range(int(rng.integers(2, 5)))])
    bar = np.minimum(np.searchsorted(edges, along), len(edges))
    return palette[bar % len(palette)].astype(np.float32)


def text(rng: np.random.Generator, shape_hw: Shape) -> Image:
    """Words and numbers of many sizes on panels of different colours."""
    h, w = shape_hw
    side = min(h, w)
    image = np.empty((h, w, 3), np.uint8)
    image[:] = to_bytes(some_color(rng))
    for _ in range(int(rng.integers(2, 7))):
        corner = (rng.uniform(-0.2, 0.9, 2) * (w, h)).astype(int)
        opposite = corner + (rng.uniform(0.15, 0.7, 2) * side).astype(int)
        cv2.rectangle(image, _xy(corner), _xy(opposite), to_bytes(some_color(rng)), -1)
    for _ in range(int(rng.integers(12, 40))):
        scale = float(side / 480 * np.exp(rng.uniform(np.log(0.5), np.log(5.0))))
        place = _xy((rng.uniform(-0.1, 0.95, 2) * (w, h)).astype(int))
        word = random_word(rng, int(rng.integers(2, 9)))
        thickness, color = max(1, round(1.8 * scale)), to_bytes(some_color(rng))
        font = cv2.FONT_HERSHEY_DUPLEX
        cv2.putText(image, word, place, font, scale, color, thickness, cv2.LINE_AA)
    return np.asarray(image / 255, np.float32)


def some_color(rng: np.random.Generator) -> NDArray[np.float64]:
    """RGB in 0..1 of any brightness, from grey to saturated."""
    color = rng.uniform(0.02, 0.98, 3)
    return color.mean() + (color - color.mean()) * rng.random()


def to_bytes(color: NDArray[np.float64]) -> tuple[int, int, int]:
    """RGB in 0..255 of a colour in 0..1: OpenCV draws smooth edges into bytes only."""
    red, green, blue = (int(255 * c + 0.5) for c in color.clip(0, 1))
    return red, green, blue


def _two_colors(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two colours of different brightness."""
    dark, light = rng.uniform(0.05, 0.45), rng.uniform(0.55, 0.95)
    tint = 1 + rng.uniform(-0.3, 0.3, (2, 3))
    return np.clip(dark * tint[0], 0, 1), np.clip(light * tint[1], 0, 1)


def _coordinates(shape_hw: Shape) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns and rows of all pixels as shares of the smaller side."""
    v, u = np.mgrid[: shape_hw[0], : shape_hw[1]] / min(shape_hw)
    return u, v


def _cell_colors(
    rng: np.random.Generator,
    row: NDArray[np.float64],
    column: NDArray[np.float64],
    color: NDArray[np.float64],
    amount: float,
) -> NDArray[np.float64]:
    """`color` with a random change per cell: brightness by `amount`, hue by a third of it."""
    table = rng.normal(0, 1, (_TABLE, _TABLE, 1)) + rng.normal(0, 0.33, (_TABLE, _TABLE, 3))
    index = row.astype(int) % _TABLE, column.astype(int) % _TABLE
    return color + amount * table[index]


def _xy(values: NDArray[np.int64]) -> tuple[int, int]:
    return int(values[0]), int(values[1])
