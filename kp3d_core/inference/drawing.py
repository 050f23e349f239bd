"""The image with what was found in it, for people."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.model import KeypointLayout

_SHIFT = 4
"""OpenCV draws at 1/16 pixel."""
_FAR_PX = 1e5
"""Beyond this OpenCV's fixed-point coordinates overflow."""
_WHITE, _DARK = (255, 255, 255), (30, 34, 40)
_AXES_RGB = ((235, 50, 50), (40, 190, 60), (50, 90, 245))
_AXIS_LENGTH = 0.6
"""[model units]"""


def draw_overlay(
    image: NDArray[np.uint8],
    camera: CameraModel,
    found: Iterable[tuple[str, Detection, KeypointLayout]],
) -> NDArray[np.uint8]:
    """A copy of an image with skeleton, keypoints, axes and name of each object.

    Args:
        image: RGB, shape (H, W, 3).
        camera: of the image.
        found: name, detection and layout of each object.
    """
    canvas = np.array(image, np.uint8)
    size = max(2.0, min(image.shape[:2]) / 120)  # radius of a keypoint [px]
    for name, detection, layout in found:
        uv = detection.keypoints_uv
        for start, end in layout.edges:
            _line(canvas, uv[start], uv[end], _WHITE, max(1, round(size / 3)))
        _draw_axes(canvas, camera, detection, max(1, round(size / 2)))
        for point, color in zip(uv, layout.colors, strict=True):
            rgb = tuple(int(round(255 * c)) for c in color)
            for radius, fill in ((size + 1, _DARK), (size, rgb)):
                at, r = _fixed(point), round(radius * 2**_SHIFT)
                cv2.circle(canvas, at, r, fill, -1, cv2.LINE_AA, _SHIFT)
        corner = uv.min(axis=0)
        text = f"{name}  {float(np.mean(detection.score)):.2f}"
        at = (int(np.clip(corner[0], 0, image.shape[1])), int(np.clip(corner[1] - 8, 12, 1e5)))
        for color, width in ((_DARK, 3), (_WHITE, 1)):
            cv2.putText(
                canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size / 9, color, width, cv2.LINE_AA
            )
    return canvas


def _draw_axes(
    canvas: NDArray[np.uint8], camera: CameraModel, detection: Detection, width: int
) -> None:
    length = _AXIS_LENGTH * detection.unit_m
    ends = np.vstack([np.zeros(3), length * np.eye(3)])
    T = detection.T_camera_object
    points = ends @ T[:3, :3].T + T[:3, 3]
    if points[:, 2].min() <= 0:
        return
    uv = camera.project(points)
    for end, color in zip(uv[1:], _AXES_RGB, strict=True):
        _line(canvas, uv[0], end, color, width)


def _line(
    canvas: NDArray[np.uint8],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    color: tuple[int, int, int],
    width: int,
) -> None:
    cv2.line(canvas, _fixed(start), _fixed(end), color, width, cv2.LINE_AA, _SHIFT)


def _fixed(point: NDArray[np.float64]) -> tuple[int, int]:
    u, v = np.clip(np.nan_to_num(point), -_FAR_PX, _FAR_PX) * 2**_SHIFT
    return round(float(u)), round(float(v))
