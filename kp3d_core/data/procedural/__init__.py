"""Procedural categories: objects made from an instance seed."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from kp3d_core.data.procedural.car.car import make_car
from kp3d_core.data.procedural.chair.chair import make_chair
from kp3d_core.data.procedural.instance import Instance
from kp3d_core.data.procedural.mug.mug import make_mug
from kp3d_core.data.procedural.plane.plane import make_plane

__all__ = ["CATEGORIES", "Instance", "make_instance"]

_MAKERS: dict[str, Callable[[int, np.random.Generator], Instance]] = {
    "car": make_car,
    "chair": make_chair,
    "mug": make_mug,
    "plane": make_plane,
}

CATEGORIES: tuple[str, ...] = tuple(_MAKERS)
"""Names of the procedural categories."""


def make_instance(category: str, seed: int) -> Instance:
    """Make an object: the same category and seed always give the same arrays.

    Args:
        category: one of `CATEGORIES`.
        seed: non-negative instance seed; different seeds give visibly different objects.
    """
    if category not in _MAKERS:
        raise ValueError(
            f"category must be one of {', '.join(CATEGORIES)}, got {category!r}. "
            "Other objects can be read from mesh files."
        )
    if seed < 0:
        raise ValueError(f"seed must be an integer >= 0, got {seed}. Count seeds from 0 upwards.")
    entropy = np.random.SeedSequence([zlib.crc32(category.encode()), seed])
    return _MAKERS[category](seed, np.random.default_rng(entropy))
