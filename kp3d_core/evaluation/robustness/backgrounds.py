"""Textured backgrounds of families that training does not use, and light that it does not use.

Training has its own backgrounds (`kp3d_core.data.augmentation`) and lights every object from
straight above. Here backgrounds are made surfaces, writing, scenery and other objects, and the
light comes from the side and has a colour. Nothing in here may be used for training: it would no
longer tell how a model behaves before what it has never seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.robustness import patterns, scenery
from kp3d_core.evaluation.robustness.patterns import Image, Shape

_FLAT: dict[str, Callable[[np.random.Generator, Shape], Image]] = {
    "bricks": patterns.bricks,
    "tiles": patterns.tiles,
    "planks": patterns.planks,
    "stripes": patterns.stripes,
    "text": patterns.text,
    "gravel": scenery.gravel,
}
"""Surfaces that are seen obliquely, too."""
_UPRIGHT: dict[str, Callable[[np.random.Generator, Shape], Image]] = {
    "foliage": scenery.foliage,
    "landscape": scenery.landscape,
}

FAMILIES: tuple[str, ...] = (*_FLAT, *_UPRIGHT, "clutter")
"""Names of the families of backgrounds."""


def paint_background(
    family: str, rng: np.random.Generator, shape_hw: Shape, category: str
) -> NDArray[np.uint8]:
    """A background of one of `FAMILIES`, RGB (H, W, 3); clutter shows no object of `category`."""
    if family in _FLAT:
        image = _seen_obliquely(rng, _FLAT[family](rng, shape_hw))
    elif family in _UPRIGHT:
        image = _UPRIGHT[family](rng, shape_hw)
    elif family == "clutter":
        image = scenery.clutter(rng, shape_hw, category)
    else:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}.")
    return _photographed(rng, image)


def draw_family(rng: np.random.Generator) -> str:
    """One of `FAMILIES`, all equally likely."""
    return FAMILIES[int(rng.integers(len(FAMILIES)))]


def composite(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], background: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Premultiplied RGB (H, W, 3) with coverage (H, W) in front of a background (H, W, 3)."""
    behind = background * (1 - alpha[..., None].astype(np.float32) / 255)
    return (rgb + behind + 0.5).clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Light:
    """Arguments of `render` that say how the object is lit."""

    up_object: NDArray[np.float64]
    """Direction that the light comes from in the object frame, shape (3,)."""
    sky: NDArray[np.float64]
    """RGB factor of surfaces that face it."""
    ground: NDArray[np.float64]
    """RGB factor of surfaces that face away."""


def draw_light(rng: np.random.Generator) -> Light:
    """Light from up to 75 degrees off the vertical, dim to glaring, warm or cool."""
    tilt, turn = np.radians(rng.uniform(0, 75)), rng.uniform(0, 2 * np.pi)
    up = np.array([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)])
    warmth = rng.uniform(-0.15, 0.15)
    sky = rng.uniform(0.55, 1.3) * np.array([1 + warmth, 1.0, 1 - warmth])
    return Light(up, sky, sky * rng.uniform(0.15, 0.7) * rng.uniform(0.9, 1.1, 3))


def _seen_obliquely(rng: np.random.Generator, image: Image) -> Image:
    """A flat surface turned away from the camera; half of them face it."""
    if rng.random() < 0.5:
        return image
    h, w = image.shape[:2]
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    # Corners move inwards only, in the source: the result shows no outside.
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * rng.uniform(0, 0.4, (4, 2))
    source = corners + (inwards * (w, h)).astype(np.float32)
    H = cv2.getPerspectiveTransform(source, corners)
    return np.asarray(cv2.warpPerspective(image, H, (w, h), flags=cv2.INTER_LINEAR), np.float32)


def _photographed(rng: np.random.Generator, image: Image) -> NDArray[np.uint8]:
    """Uneven light, a lens that is not quite in focus, exposure and sensor noise."""
    h, w = image.shape[:2]
    v, u = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    direction = rng.normal(size=2)
    slope = rng.uniform(0, 0.35) * (u * direction[0] + v * direction[1]) / np.linalg.norm(direction)
    image = image.clip(0, 1) * (1 + slope)[..., None].astype(np.float32) * rng.uniform(0.6, 1.1)
    sigma = rng.uniform(0, 0.006) * min(h, w)
    if sigma > 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    noise = rng.normal(0, rng.uniform(0, 0.02), image.shape)
    return ((image + noise) * 255 + 0.5).clip(0, 255).astype(np.uint8)
