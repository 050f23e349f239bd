"""Procedural scenery: gravel, foliage, landscapes and other objects, as in a photograph.

Same form as `patterns`: RGB in 0..1, shape (H, W, 3), float32, all from the generator.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.cameras import look_along, roll_matrix
from kp3d_core.data.procedural import make_instance
from kp3d_core.data.splits import first_seed
from kp3d_core.evaluation.robustness.patterns import Image, Shape, some_color, to_bytes
from kp3d_core.geometry.camera import intrinsics_from_fov
from kp3d_core.rendering.packing import PackedMesh, pack
from kp3d_core.rendering.rasterizer import render

_CLUTTER_CATEGORIES = ("car", "chair", "plane")
"""A fixed choice: a new category must not change the pictures that models were measured on."""
_CLUTTER_OBJECTS = 4
"""Different objects of each other category that clutter is made of."""
_CLUTTER_SEED_OFFSET = 500_000_001
"""Where their seeds start: in the fresh range of the test split, far from the measured ones."""


def gravel(rng: np.random.Generator, shape_hw: Shape) -> Image:
    """Stones, or the cracks of dry ground: a Voronoi diagram shaded towards its edges."""
    h, w = shape_hw
    count = int(np.exp(rng.uniform(np.log(80), np.log(1500))) * w * h / min(h, w) ** 2)
    seeds = np.full((h, w), 255, np.uint8)
    seeds[rng.integers(0, h, count), rng.integers(0, w, count)] = 0
    distance, cell = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    stone = some_color(rng)
    tone = rng.normal(1, rng.uniform(0.1, 0.4), (int(cell.max()) + 1, 1))
    tone = tone * (1 + rng.normal(0, 0.06, (len(tone), 3)))
    radius = np.sqrt(w * h / count)
    shade = 1 - rng.uniform(0.2, 0.7) * np.clip(distance / radius, 0, 1) ** 2
    return (stone * tone[cell] * shade[..., None]).astype(np.float32)


def foliage(rng: np.random.Generator, shape_hw: Shape) -> Image:
    """Leaves over leaves, darker behind than in front."""
    h, w = shape_hw
    side = min(h, w)
    leaf = np.array([rng.uniform(0.1, 0.6), rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.3)])
    image = np.empty((h, w, 3), np.uint8)
    image[:] = to_bytes(0.15 * leaf)
    length = rng.uniform(0.03, 0.12) * side
    count = int(min(2.5 * w * h / length**2, 2500))
    for k in range(count):
        depth = k / count
        color = leaf * (0.3 + 0.9 * depth) * rng.uniform(0.7, 1.3) * rng.uniform(0.85, 1.15, 3)
        axes = length * rng.uniform(0.5, 1.2) * np.array([1.0, rng.uniform(0.15, 0.5)])
        center = rng.uniform(-0.05, 1.05, 2) * (w, h)
        box = (_pair(center), _pair(2 * axes), float(rng.uniform(0, 180)))
        cv2.ellipse(image, box, to_bytes(color), -1, cv2.LINE_AA)
    return np.asarray(image / 255, np.float32)


def landscape(rng: np.random.Generator, shape_hw: Shape) -> Image:
    """Sky with a sun, ridges or roofs one behind the other, ground that coarsens to the front."""
    h, w = shape_hw
    v = np.linspace(0, 1, h)[:, None, None]
    zenith, haze = rng.uniform(0.1, 0.8, 3), rng.uniform(0.5, 1.0, 3)
    horizon = rng.uniform(0.25, 0.7)
    image = zenith + (haze - zenith) * np.clip(v / horizon, 0, 1) + np.zeros((h, w, 3))
    x, y = np.meshgrid(np.arange(w) / w - rng.random(), np.arange(h) / h - 0.6 * rng.random())
    image = (
        image + rng.uniform(0, 0.6) * np.exp(-(x**2 + y**2) / rng.uniform(0.002, 0.05))[..., None]
    )
    for layer in range(int(rng.integers(2, 6))):
        nearness = (layer + 1) / 6
        ridge = _skyline(rng, w, jagged=bool(rng.random() < 0.5))
        top = (horizon + 0.12 * (nearness - 0.6) - rng.uniform(0.03, 0.2) * ridge) * h
        color = haze + (some_color(rng) - haze) * (0.3 + 0.7 * nearness)
        image = np.where((np.arange(h)[:, None] > top)[..., None], color, image)
    ground, below = some_color(rng), np.arange(h) / h > horizon
    stretch = 1 / np.maximum(np.arange(h) / h - horizon, 0.02)
    rows = np.mod((stretch * rng.uniform(2, 8)).astype(int), 64)
    columns = ((np.arange(w) / w - 0.5) * stretch[:, None] * rng.uniform(4, 16)).astype(int) % 64
    grain = rng.normal(1, rng.uniform(0.05, 0.25), (64, 64))[rows[:, None], columns]
    image = np.where(below[:, None, None], ground * grain[..., None], image)
    return image.astype(np.float32)


def clutter(rng: np.random.Generator, shape_hw: Shape, category: str) -> Image:
    """Objects of the categories other than `category`, before a wall and a floor."""
    h, w = shape_hw
    v = np.linspace(-1, 1, h)[:, None, None]
    wall, floor = some_color(rng), some_color(rng)
    image = np.where(v > rng.uniform(-0.5, 0.8), floor, wall) * np.ones((h, w, 3))
    K = intrinsics_from_fov(float(np.radians(40)), w, h)
    pool = _clutter_pool(category)
    for distance in sorted(rng.uniform(4, 14, int(rng.integers(3, 8))), reverse=True):
        mesh = pool[int(rng.integers(len(pool)))]
        direction = rng.normal(size=3)
        T = np.eye(4)
        T[:3, :3] = roll_matrix(float(rng.normal(0, 0.2))) @ look_along(direction)
        T[:3, 3] = distance * np.append(rng.uniform(-0.36, 0.36, 2) * (w / h, 1), 1.0)
        drawn = render(mesh, K, T, w, h, samples=1, sky=float(rng.uniform(0.5, 1.1)))
        cover = drawn.alpha[..., None] / 255
        image = drawn.rgb / 255 + (1 - cover) * image
    return image.astype(np.float32)


@lru_cache(maxsize=4)
def _clutter_pool(category: str) -> tuple[PackedMesh, ...]:
    seed = first_seed("test", _CLUTTER_OBJECTS, _CLUTTER_SEED_OFFSET)
    others = [other for other in _CLUTTER_CATEGORIES if other != category]
    return tuple(
        pack(make_instance(other, seed + k).mesh)
        for k in range(_CLUTTER_OBJECTS)
        for other in others
    )


def _skyline(rng: np.random.Generator, width: int, jagged: bool) -> NDArray[np.float64]:
    """Heights in about 0..1 of hills, or of houses with flat roofs."""
    if jagged:
        heights = rng.random(int(rng.integers(5, 25)))
        return heights[np.arange(width) * len(heights) // width]
    x = np.linspace(0, 2 * np.pi, width)
    waves = [
        rng.normal() / k * np.sin(k * x * rng.uniform(0.7, 1.3) + rng.uniform(0, 7))
        for k in range(1, 24)
    ]
    hills = np.sum(waves, axis=0)
    return (hills - hills.min()) / max(float(np.ptp(hills)), 1e-6)


def _pair(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])
