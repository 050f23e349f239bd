"""Quaternions of messages, by transforms3d; its order is w, x, y, z, that of ROS x, y, z, w."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from transforms3d.quaternions import mat2quat, quat2mat


def quat_xyzw(R: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Unit quaternion of a rotation matrix, x, y, z, w, with w >= 0."""
    w, x, y, z = mat2quat(R).tolist()
    return x, y, z, w


def rotation_of(quat_xyzw: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrix (3, 3) of a quaternion of any length but zero."""
    x, y, z, w = quat_xyzw
    return np.asarray(quat2mat((w, x, y, z)))
