"""Arrays to messages."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

from kp3d_ros.messages import pose_message, transform_message


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
