"""Is anything there? An object stays where it is when the crop moves; a pattern does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.view import View

if TYPE_CHECKING:
    from kp3d_core.inference.detector import Detector

_SHIFT = 0.12
"""How far the crop is moved to each side, as a fraction of its width."""
_MAX_MOVEMENT = 0.08
"""Largest median movement of the keypoints, as a fraction of the diagonal around them. What the
network imagines in a pattern moves with the crop, at least in part. Of the false finds in textures
6, 16 and 0 % stay under this (cars, chairs, planes), of objects in the demo's studio 97, 97, 87 %.
"""


def confirmed(
    detector: Detector,
    image: NDArray[np.uint8],
    camera: CameraModel,
    detections: Sequence[Detection],
    down_camera: ArrayLike | None = None,
) -> list[Detection]:
    """The detections; accepted ones whose keypoints move with the crop are refused.

    Looks at each accepted one four times more, all in one engine call. For what a search finds: a
    box or a track is evidence of its own.

    Args:
        detector: that found them.
        image: RGB, shape (H, W, 3).
        camera: calibration of the image.
        detections: what was found in it.
        down_camera: direction of gravity in the camera frame.
    """
    doubtful = [detection for detection in detections if detection.accepted]
    views = [view for detection in doubtful for view in _shifted_views(detection)]
    looks = iter(detector.detect_views(image, camera, views, down_camera=down_camera))
    results = []
    for detection in detections:
        if detection.accepted:
            movements = [_movement(detection, next(looks)) for _ in range(4)]
            detection = _judge(detection, float(np.median(movements)))
        results.append(detection)
    return results


def _shifted_views(detection: Detection) -> list[View]:
    """The view centred on the object, moved to the right, left, down and up."""
    crop, view = detection.crop, detection.next_view
    step = _SHIFT * crop.size / view.focal_px  # on the plane at unit distance
    right, down, _ = crop.R_crop_camera
    return [
        View(view.center_ray + offset, view.focal_px)
        for offset in (step * right, -step * right, step * down, -step * down)
    ]


def _movement(detection: Detection, look: Detection) -> float:
    """RMS movement of the keypoints in the image, as a fraction of the diagonal around them."""
    diagonal = float(np.linalg.norm(np.ptp(detection.keypoints_uv, axis=0)))
    offsets = look.keypoints_uv - detection.keypoints_uv
    return float(np.sqrt(np.mean(np.sum(offsets**2, axis=1)))) / max(diagonal, 1e-9)


def _judge(detection: Detection, movement: float) -> Detection:
    if movement <= _MAX_MOVEMENT:
        return detection
    problem = (
        f"the keypoints move with the crop by {movement:.0%} of their extent, over "
        f"{_MAX_MOVEMENT:.0%}: a pattern, not the object"
    )
    return dataclasses.replace(detection, problems=(problem,))
