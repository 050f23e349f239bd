"""From messages of the node to what is known of a mug; fusion of two views."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from kp3d_core.geometry.rotation import exp_rotation, invert_transform, transform_points
from kp3d_ros.demo.grasp.bullet import FloatArray
from kp3d_ros.demo.grasp.grasps import Estimate
from kp3d_ros.rotations import rotation_of


def pose_matrix(pose: Any) -> FloatArray:
    """A geometry_msgs/Pose as a matrix, shape (4, 4)."""
    T = np.eye(4)
    q, t = pose.orientation, pose.position
    T[:3, :3] = rotation_of([q.x, q.y, q.z, q.w])
    T[:3, 3] = t.x, t.y, t.z
    return T


def estimate_from(detection: Any, keypoints: Any, T_base_camera: FloatArray) -> Estimate:
    """What one image says of a mug.

    Args:
        detection: vision_msgs/Detection3D.
        keypoints: kp3d_ros/Keypoints3D of the same object and image; None if there are none.
        T_base_camera: pose of the camera at the image's time.
    """
    result = detection.results[0].pose
    T_camera_mug = pose_matrix(result.pose)
    T_base_mug = T_base_camera @ T_camera_mug
    T_mug_box = invert_transform(T_camera_mug) @ pose_matrix(detection.bbox.center)
    size = detection.bbox.size
    # Both covariances are about fixed axes: those of the camera, those of the base.
    R = np.kron(np.eye(2), T_base_camera[:3, :3])
    named = {}
    for item in keypoints.keypoints if keypoints is not None else ():
        point = np.array([item.position.x, item.position.y, item.position.z])
        if np.isfinite(point).all():
            named[item.name] = transform_points(invert_transform(T_camera_mug), point[None])[0]
    return Estimate(
        T_base_mug,
        R @ np.reshape(result.covariance, (6, 6)) @ R.T,
        T_mug_box[:3, 3],
        np.array([size.x, size.y, size.z]),
        named,
    )


def fused(first: Estimate, second: Estimate) -> Estimate:
    """Two views of one mug that stands still, each counting as its covariance says.

    Box and keypoints are those of the view whose place is known better.
    """
    turn = rotation_vector(second.T_base_mug[:3, :3] @ first.T_base_mug[:3, :3].T)
    away = second.T_base_mug[:3, 3] - first.T_base_mug[:3, 3]
    difference = np.concatenate([away, turn])
    gain = first.covariance @ np.linalg.inv(first.covariance + second.covariance)
    step = gain @ difference
    T = first.T_base_mug.copy()
    T[:3, 3] += step[:3]
    T[:3, :3] = exp_rotation(step[3:]) @ T[:3, :3]
    covariance = first.covariance - gain @ first.covariance
    better = min((first, second), key=lambda item: float(np.trace(item.covariance[:3, :3])))
    return Estimate(
        T,
        (covariance + covariance.T) / 2,
        better.box_center,
        better.box_size,
        better.keypoints,
        better.top_std,
    )


def disagreement(first: Estimate, second: Estimate) -> float:
    """How far two views are apart, in standard deviations of their difference (Mahalanobis)."""
    turn = rotation_vector(second.T_base_mug[:3, :3] @ first.T_base_mug[:3, :3].T)
    difference = np.concatenate([second.T_base_mug[:3, 3] - first.T_base_mug[:3, 3], turn])
    both = first.covariance + second.covariance
    return float(np.sqrt(difference @ np.linalg.solve(both, difference)))


def rotation_vector(R: FloatArray) -> FloatArray:
    """Axis times angle of a rotation, shape (3,) [rad]."""
    return np.asarray(cv2.Rodrigues(R)[0].ravel())
