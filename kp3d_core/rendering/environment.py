"""What surrounds an object: radiance from every direction, read by reflections and sky light.

Radiance is linear. Displayed colours are taken as the square root of linear ones (gamma 2, close to
sRGB's curve), so `display**2` is linear.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

ENVIRONMENT_SIZE = 64
"""Width and height of the sharpest level [texels]."""
_LEVELS = 5


@dataclass(frozen=True)
class Environment:
    """An octahedral map of directions in levels of falling sharpness, z up."""

    texels: NDArray[np.float32]
    """Linear RGB of all levels, one after the other, shape (texels, 3)."""
    offset: NDArray[np.int64]
    """Start of each level."""
    size: NDArray[np.int64]
    """Width and height of each level."""


@lru_cache(maxsize=4)
def environment_directions(size: int = ENVIRONMENT_SIZE) -> NDArray[np.float64]:
    """Unit vectors of the texels of an octahedral map, shape (size, size, 3).

    Reference: Cigolle et al., A Survey of Efficient Representations for Independent Unit Vectors,
    JCGT 3(2), 2014.
    """
    axis = (np.arange(size) + 0.5) * 2 / size - 1
    x, y = np.meshgrid(axis, axis)
    z = 1 - np.abs(x) - np.abs(y)
    below = z < 0
    folded_x = np.where(below, (1 - np.abs(y)) * np.where(x < 0, -1.0, 1.0), x)
    folded_y = np.where(below, (1 - np.abs(x)) * np.where(y < 0, -1.0, 1.0), y)
    directions = np.stack([folded_x, folded_y, z], axis=-1)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    directions.setflags(write=False)
    return directions


def make_environment(radiance: NDArray[np.floating]) -> Environment:
    """Environment of linear RGB at `environment_directions`, shape (S, S, 3), S a power of two."""
    size = radiance.shape[0]
    if radiance.shape != (size, size, 3) or size < 16 or size & (size - 1):
        raise ValueError(
            "radiance must have shape (S, S, 3), S a power of two from 16 up, got "
            f"{radiance.shape}. Sample it at environment_directions(S)."
        )
    if not np.isfinite(radiance).all() or radiance.min() < 0:
        raise ValueError("radiance must be finite and not negative. It is linear light.")
    levels = [np.ascontiguousarray(radiance, np.float32)]
    while len(levels) < _LEVELS:
        half = levels[-1].shape[0] // 2
        smaller = cv2.resize(levels[-1], (half, half), interpolation=cv2.INTER_AREA)
        smooth = cv2.GaussianBlur(smaller, (3, 3), 0.8, borderType=cv2.BORDER_REPLICATE)
        levels.append(np.asarray(smooth, np.float32))
    sizes = np.array([len(level) for level in levels], np.int64)
    return Environment(
        texels=np.concatenate([level.reshape(-1, 3) for level in levels]),
        offset=np.cumsum([0, *(sizes[:-1] ** 2)]).astype(np.int64),
        size=sizes,
    )
