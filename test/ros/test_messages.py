"""Arrays to messages."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

from kp3d_ros.messages import pose_message, quat_xyzw, transform_message

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


def test_pose_and_transform_agree() -> None:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", [0.3, -0.5, 2.0]).as_matrix()
    T[:3, 3] = 0.1, -0.2, 1.5
    covariance = np.arange(36.0).reshape(6, 6)

    pose = pose_message(Header(frame_id="camera"), T, covariance)
    transform = transform_message(Header(frame_id="camera"), "car", T)

    position, translation = pose.pose.pose.position, transform.transform.translation
    assert (position.x, position.y, position.z) == (0.1, -0.2, 1.5)
    assert (translation.x, translation.y, translation.z) == (0.1, -0.2, 1.5)
    assert pose.pose.pose.orientation == transform.transform.rotation
    assert (transform.header.frame_id, transform.child_frame_id) == ("camera", "car")
    # Row-major: the second number is the covariance of x with y.
    assert pose.pose.covariance[1] == 1
    assert pose.pose.covariance[6] == 6
