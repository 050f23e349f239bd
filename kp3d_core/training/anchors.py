"""Places in the object frame that keypoints start from."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def ellipsoid_anchors(num: int, semi_axes: tuple[float, float, float]) -> NDArray[np.float32]:
    """`num` points spread evenly over an ellipsoid around the origin, shape (num, 3).

    A Fibonacci lattice along the object's left axis (y), so that both sides get the same number and
    none lies on the symmetry plane when `num` is even.

    Args:
        num: number of keypoints.
        semi_axes: along the object's x, y and z [model units].
    """
    index = np.arange(num)
    y = 1 - (2 * index + 1) / num
    radius = np.sqrt(1 - y**2)
    angle = _GOLDEN_ANGLE * index
    points = np.stack([radius * np.cos(angle), y, radius * np.sin(angle)], axis=-1)
    return (points * np.array(semi_axes)).astype(np.float32)
