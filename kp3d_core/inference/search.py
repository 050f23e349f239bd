"""Finding the object without a region: overlapping views of several sizes over the whole image."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.view import View

_SAME = 0.35
"""Fraction of its size by which an object must be beside another one to be seen as two."""


def search_views(camera: CameraModel, whole: View, levels: int, input_size: int) -> list[View]:
    """Views that cover an image at zooms 1, 2, 4 and so on, each half a view beside the next.

    Args:
        camera: the camera of the image.
        whole: the view that shows the whole image.
        levels: number of zooms.
        input_size: width and height of a view [px].
    """
    middle_px = math.sqrt(camera.K[0, 0] * camera.K[1, 1])  # image pixels per unit of tangent
    views = []
    for level in range(levels):
        focal_px = whole.focal_px * 2**level
        step = input_size / focal_px * middle_px / 2
        columns = _centers(camera.width, step)
        rows = _centers(camera.height, step)
        grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
        views += [View(ray, focal_px) for ray in camera.rays(grid)]
    return views


def most_plausible(detections: Iterable[Detection], count: int) -> list[Detection]:
    """The detections that look most like the object in its training views, best first."""
    return sorted(detections, key=_implausibility)[:count]


def distinct(detections: Iterable[Detection], count: int) -> list[Detection]:
    """The first detection, and those accepted ones after it that show other objects.

    Args:
        detections: best first.
        count: most that are returned.
    """
    chosen: list[Detection] = []
    for detection in detections:
        is_new = detection.accepted and not any(same_object(detection, c) for c in chosen)
        if not chosen or is_new:
            chosen.append(detection)
    return chosen[:count]


def same_object(a: Detection, b: Detection) -> bool:
    """Whether two detections lie on each other in the image."""
    distance = np.linalg.norm(a.keypoints_uv.mean(axis=0) - b.keypoints_uv.mean(axis=0))
    extent = max(float(np.ptp(d.keypoints_uv, axis=0).max()) for d in (a, b))
    return bool(distance < _SAME * extent)


def _centers(length: int, step: float) -> np.ndarray:
    """Pixel coordinates that cover an axis evenly, about `step` apart."""
    count = max(1, round(length / step))
    return (np.arange(count) + 0.5) * length / count - 0.5


def _implausibility(detection: Detection) -> tuple[bool, float]:
    """Refused ones last; then how far shape, size and certainty are from the ideal."""
    doubt = 1 - float(detection.score.mean())
    return (
        not detection.accepted,
        detection.residual + 0.3 * abs(math.log(detection.scale)) + 0.3 * doubt,
    )
