"""What the node said against the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.rotation import invert_transform, rotation_angle
from kp3d_ros.demo.film import Film
from kp3d_ros.demo.stream import Recording
from kp3d_ros.rotations import rotation_of

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FrameResult:
    """The node's answer to one image, and how wrong it is."""

    index: int
    """Of the image in the film."""
    stamp: int
    T_camera_object: FloatArray
    """Absolute pose, from the pose topic [m]."""
    relative_rotation_deg: float
    """Error of the rotation since the reference image."""
    absolute_rotation_deg: float
    """Error of the absolute pose's rotation."""
    translation_error: float
    """Error of the absolute pose's translation, as a fraction of the distance."""


def evaluate(recording: Recording, film: Film) -> list[FrameResult]:
    """One result for each image with pose and TF, in the order of time.

    The motion since the reference image is compared in the camera frame,
    T_camera_reference * T_reference_object * T_camera_reference^-1 against
    T_camera_object * T_camera_object(reference)^-1: there it does not depend on how well the
    reference pose itself is known.
    """
    stamps = sorted(recording.sent.keys() & recording.poses.keys() & recording.transforms.keys())
    if not recording.transforms or not stamps:
        return []
    # The first image with an object is the reference.
    reference_stamp = min(recording.transforms)
    T_gt_reference = film.T_camera_object[recording.sent[reference_stamp]]
    results = []
    for stamp in stamps:
        index = recording.sent[stamp]
        T_gt = film.T_camera_object[index]
        to_reference, to_object = recording.transforms[stamp].transforms[:2]
        T_camera_reference = transform_matrix(to_reference.transform)
        T_reference_object = transform_matrix(to_object.transform)
        motion = T_camera_reference @ T_reference_object @ invert_transform(T_camera_reference)
        motion_gt = T_gt @ invert_transform(T_gt_reference)
        T = pose_matrix(recording.poses[stamp].pose.pose)
        offset = np.linalg.norm(T[:3, 3] - T_gt[:3, 3])
        results.append(
            FrameResult(
                index=index,
                stamp=stamp,
                T_camera_object=T,
                relative_rotation_deg=_angle_deg(motion, motion_gt),
                absolute_rotation_deg=_angle_deg(T, T_gt),
                translation_error=float(offset / np.linalg.norm(T_gt[:3, 3])),
            )
        )
    return results


def summarize(recording: Recording, results: list[FrameResult]) -> dict[str, Any]:
    """The measured part of the summary."""
    received = np.array(sorted(recording.received.items()), np.int64).reshape(-1, 2)
    latency_ms = (received[:, 1] - received[:, 0]) * 1e-6
    first_to_last_s = float(np.ptp(received[:, 1])) * 1e-9 if len(received) > 1 else 0.0
    return {
        "frames_in": len(recording.sent),
        "frames_processed": len(received),
        "frames_with_pose": len(results),
        "rate_hz": _round((len(received) - 1) / first_to_last_s if first_to_last_s else None),
        "latency_ms": _percentiles(latency_ms, p50=50, p99=99),
        "relative_rotation_deg": _percentiles(
            [result.relative_rotation_deg for result in results], median=50, p90=90
        ),
        "absolute_rotation_deg": _percentiles(
            [result.absolute_rotation_deg for result in results], median=50, p90=90
        ),
        "translation_error_percent": _percentiles(
            [100 * result.translation_error for result in results], median=50
        ),
    }


def pose_matrix(pose: Any) -> FloatArray:
    """Matrix of a geometry_msgs/Pose, shape (4, 4)."""
    return _matrix(pose.position, pose.orientation)


def transform_matrix(transform: Any) -> FloatArray:
    """Matrix of a geometry_msgs/Transform, shape (4, 4)."""
    return _matrix(transform.translation, transform.rotation)


def _matrix(t: Any, quaternion: Any) -> FloatArray:
    T = np.eye(4)
    T[:3, :3] = rotation_of((quaternion.x, quaternion.y, quaternion.z, quaternion.w))
    T[:3, 3] = t.x, t.y, t.z
    return T


def _angle_deg(T_a: FloatArray, T_b: FloatArray) -> float:
    return float(np.degrees(rotation_angle(T_a[:3, :3], T_b[:3, :3])))


def _percentiles(values: Any, **percents: float) -> dict[str, float | None]:
    """Named percentiles; None where there are no values."""
    if not len(values):
        return dict.fromkeys(percents)
    return {name: _round(float(np.percentile(values, p))) for name, p in percents.items()}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
