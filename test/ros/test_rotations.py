"""Quaternions, with SciPy as the judge."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kp3d_ros.rotations import quat_xyzw, rotation_of

ANGLES_DEG = [0.0, 1e-6, 0.1, 45, 90, 179.999, 180]


@pytest.mark.parametrize("angle_deg", ANGLES_DEG)
def test_quaternion_matches_scipy(angle_deg: float) -> None:
    axis = np.array([0.36, -0.48, 0.8])
    R = Rotation.from_rotvec(np.radians(angle_deg) * axis).as_matrix()

    quaternion = np.array(quat_xyzw(R))

    assert np.linalg.norm(quaternion) == pytest.approx(1, abs=1e-12)
    # Both signs stand for the same rotation; at 180 degrees either may come.
    half = np.radians(angle_deg) / 2
    same = abs(quaternion @ [*(np.sin(half) * axis), np.cos(half)])
    assert same == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("length", [1.0, 0.7])
def test_matrix_of_a_quaternion_matches_scipy(length: float) -> None:
    quaternion = np.array([0.1, -0.5, 0.3, 0.8])
    quaternion *= length / np.linalg.norm(quaternion)

    expected = Rotation.from_quat(quaternion).as_matrix()

    np.testing.assert_allclose(rotation_of(quaternion), expected, atol=1e-15)
