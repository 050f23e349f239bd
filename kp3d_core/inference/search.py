"""Finding the object without a region: overlapping views of several sizes over the whole image."""

from __future__ import annotations

import math

import numpy as np

from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.view import View


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


def _centers(length: int, step: float) -> np.ndarray:
    """Pixel coordinates that cover an axis evenly, about `step` apart."""
    count = max(1, round(length / step))
    return (np.arange(count) + 0.5) * length / count - 0.5
