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

__all__ = ["CATEGORIES", "VERSIONS", "Instance", "check_version", "make_instance"]

_MAKERS: dict[str, Callable[..., Instance]] = {
    "car": make_car,
    "chair": make_chair,
    "mug": make_mug,
    "plane": make_plane,
}

CATEGORIES: tuple[str, ...] = tuple(_MAKERS)
"""Names of the procedural categories."""


VERSIONS = {"car": 2}
"""Latest version of the categories that have more than one. What a version makes of a seed stays
what it is: sets to measure on keep their objects, and new ideas make a new version."""
LATEST_VERSION = max(VERSIONS.values())


def make_instance(category: str, seed: int, version: int = 1) -> Instance:
    """Make an object: the same category, seed and version always give the same arrays.

    Args:
        category: one of `CATEGORIES`.
        seed: non-negative instance seed; different seeds give visibly different objects.
        version: of the category's generator. Cars of version 2 stand in streets: with an inside
            behind see-through windows, lamps with parts, mostly dark, grey or white; convertibles,
            trucks and racing cars among them. Categories without it make their latest.
    """
    if category not in _MAKERS:
        raise ValueError(
            f"category must be one of {', '.join(CATEGORIES)}, got {category!r}. "
            "Other objects can be read from mesh files."
        )
    if seed < 0:
        raise ValueError(f"seed must be an integer >= 0, got {seed}. Count seeds from 0 upwards.")
    check_version(version)
    version = min(version, VERSIONS.get(category, 1))
    name = category if version == 1 else f"{category} {version}"
    rng = np.random.default_rng(np.random.SeedSequence([zlib.crc32(name.encode()), seed]))
    return _MAKERS[category](seed, rng, **({} if version == 1 else {"version": version}))


def check_version(version: int) -> None:
    """Refuse a version that no generator has."""
    if not 1 <= version <= LATEST_VERSION:
        raise ValueError(
            f"The generator's version must be between 1 and {LATEST_VERSION}, got {version}. 1 "
            "makes the objects of all test sets."
        )
