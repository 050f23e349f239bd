"""Whether an object looks the same after a turn about its upright axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.symmetry import SYMMETRIES

FloatArray = NDArray[np.float64]

_STEPS_DEG = (30.0, 45.0, 75.0, 90.0)
_TOLERANCE = 1.35
"""Distances between a surface and its turned self, as a multiple of those between two samples of
it. Round bottles give 1.0 to 1.2, mugs with a handle from 1.6 on."""


def symmetry_of(points: FloatArray) -> str:
    """Symmetry of a shape; colours do not count.

    Args:
        points: on its surface, z up, shape (M, 3).
    """
    low, high = points.min(axis=0), points.max(axis=0)
    centred = points - (low + high) / 2
    first, second = centred[::2], centred[1::2]
    own = _distance(first, second)
    if all(_distance(_turned(first, step), second) < _TOLERANCE * own for step in _STEPS_DEG):
        return "full"
    if _distance(_turned(first, 180.0), second) < _TOLERANCE * own:
        return "two-fold"
    return "none"


def common_symmetry(symmetries: Sequence[str]) -> str:
    """The symmetry that nine of ten objects of a category have; "none" if no one has."""
    for symmetry in ("full", "two-fold"):
        at_least = SYMMETRIES[SYMMETRIES.index(symmetry) :]
        share = np.mean([found in at_least for found in symmetries]) if symmetries else 0.0
        if share >= 0.9:
            return symmetry
    return "none"


def _turned(points: FloatArray, angle_deg: float) -> FloatArray:
    cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return points @ np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _distance(first: FloatArray, second: FloatArray) -> float:
    """99th percentile of the distance to the nearest point: parts that stick out count."""
    from scipy.spatial import cKDTree

    return float(np.percentile(cKDTree(second).query(first)[0], 99))
