"""Where a detector saw the object: vision_msgs/Detection2DArray to regions of the image."""

from __future__ import annotations

import math

import numpy as np
from builtin_interfaces.msg import Time
from vision_msgs.msg import Detection2D, Detection2DArray

from kp3d_core.inference import CameraModel, Detection, Region
from kp3d_ros.parameters import Settings

_MARGIN_PX = 4.0
_GROWTH = 0.2
FRESH_S = 0.2
"""A moving object is still near its box after this time [s]."""


def stamp_seconds(stamp: Time) -> float:
    """Time stamp as a number, for differences [s]."""
    return float(stamp.sec) + float(stamp.nanosec) * 1e-9


def detected_region(
    detections: Detection2DArray | None, image_stamp: Time, settings: Settings
) -> Region | None:
    """Box of the most certain detection of the wanted class; None if there is none, or too old.

    Raises:
        ValueError: the box has no area or is not finite.
    """
    if detections is None:
        return None
    age = stamp_seconds(image_stamp) - stamp_seconds(detections.header.stamp)
    if abs(age) > settings.detection_max_age:
        return None
    scores = [_score(detection, settings.detection_class) for detection in detections.detections]
    if max(scores, default=-math.inf) == -math.inf:
        return None
    return _region(detections.detections[scores.index(max(scores))])


def is_fresh(detections: Detection2DArray | None, image_stamp: Time) -> bool:
    """Whether there are detections of this image, or nearly."""
    if detections is None:
        return False
    age = stamp_seconds(image_stamp) - stamp_seconds(detections.header.stamp)
    return abs(age) < FRESH_S


def configured_region(settings: Settings) -> Region | None:
    """The region that the user gave; None stands for the whole image."""
    return Region(*settings.region) if any(settings.region) else None


def keypoint_region(detection: Detection, camera: CameraModel) -> Region:
    """Rectangle around the keypoints, cut at the edges of the image."""
    edge = (camera.width - 0.5, camera.height - 0.5)
    low = np.clip(detection.keypoints_uv.min(axis=0) - _MARGIN_PX, -0.5, edge)
    high = np.clip(detection.keypoints_uv.max(axis=0) + _MARGIN_PX, -0.5, edge)
    return Region(*low.tolist(), *np.maximum(high - low, 1.0).tolist())


def contradicts(box: Region, detection: Detection) -> bool:
    """Whether a detector's box, a little grown, holds less than half of the keypoints."""
    u, v = detection.keypoints_uv.T
    grow = _GROWTH / 2
    inside = np.abs(u - (box.x + box.width / 2)) < (0.5 + grow) * box.width
    inside &= np.abs(v - (box.y + box.height / 2)) < (0.5 + grow) * box.height
    return float(inside.mean()) < 0.5


def _score(detection: Detection2D, class_id: str) -> float:
    """Largest score for the class, -inf if the detection is of another class."""
    scores = [
        result.hypothesis.score
        for result in detection.results
        if class_id in ("", result.hypothesis.class_id)
    ]
    if not detection.results and not class_id:
        return 0.0
    return max(scores, default=-math.inf)


def _region(detection: Detection2D) -> Region:
    """Upright rectangle around the box, which may be rotated.

    The size of a box counts pixels from edge to edge, as that of `Region` does.
    """
    box = detection.bbox
    cosine, sine = abs(math.cos(box.center.theta)), abs(math.sin(box.center.theta))
    width = box.size_x * cosine + box.size_y * sine
    height = box.size_x * sine + box.size_y * cosine
    center = box.center.position
    return Region(center.x - width / 2, center.y - height / 2, width, height)
