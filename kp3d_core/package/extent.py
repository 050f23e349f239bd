"""Mean bounding box of a category, seen in silhouettes: by it a box in the image tells the size."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.uncertainty import absolute_errors, is_outlier
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.inference import CameraModel, Detection
from kp3d_core.inference.box import box_of
from kp3d_core.inference.model import Extent
from kp3d_core.package.encounters import silhouette_box

FloatArray = NDArray[np.float64]

_CORNERS = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))
_STEPS = 20
_H = 1e-4
_LEAST = 0.02
"""Of a standard deviation: no box is better than that."""
_BOUND = math.log(100)


def fit_extent(views: ViewSet, detections: Sequence[Sequence[Detection]]) -> Extent:
    """Bounding box whose projections have the size of the silhouettes, by least squares.

    Args:
        views: rendered views with their poses; alpha tells silhouettes.
        detections: of the first of these views.
    """
    K, T, boxes = [], [], []
    for i, v in np.ndindex(views.rgba.shape[:2]):
        box = silhouette_box(views.rgba[i, v, ..., 3])
        if box is not None:
            K.append(views.K[i, v])
            T.append(views.T_camera_object[i, v])
            boxes.append(box)
    if not boxes:
        return Extent(np.full(3, 0.5), math.inf, 0.1)
    K_, T_ = np.array(K, np.float64), np.array(T, np.float64)
    size = np.array(boxes)[:, 2:] - np.array(boxes)[:, :2]

    def difference(log_half: FloatArray) -> FloatArray:
        uv = project(transform_points(T_, np.exp(log_half) * _CORNERS), K_)
        return np.log(size / (uv.max(axis=-2) - uv.min(axis=-2)))

    log_half = np.full(3, math.log(0.5))
    for _ in range(_STEPS):
        left = difference(log_half).ravel()
        steps = _H * np.eye(3)
        J = np.stack([(difference(log_half + step).ravel() - left) / _H for step in steps], axis=1)
        step = np.linalg.solve(J.T @ J + 1e-6 * np.eye(3), J.T @ left)
        log_half = np.clip(log_half - step.clip(-0.5, 0.5), -_BOUND, math.log(5))
    half = np.exp(log_half)
    # A box tells the mean of the logarithms of its two sides.
    size_std = float(difference(log_half).mean(axis=-1).std())
    known = Extent(half, max(size_std, _LEAST), 0.1)
    place_std = _place_std(known, views, detections)
    return Extent(half, known.size_std, max(place_std, _LEAST))


def _place_std(extent: Extent, views: ViewSet, detections: Sequence[Sequence[Detection]]) -> float:
    """RMS error, relative to the sides, of where right detections see the box's middle."""
    errors = absolute_errors(detections, views)
    found = []
    for i, row in enumerate(detections):
        for v, detection in enumerate(row):
            camera = CameraModel(views.K[i, v].astype(np.float64), views.size, views.size)
            seen = box_of(detection.T_camera_object, detection.unit_m, extent, camera)
            true = silhouette_box(views.rgba[i, v, ..., 3])
            if seen is None or true is None or is_outlier(errors[i][v]):
                continue
            offset = (seen[:2] + seen[2:] - true[:2] - true[2:]) / 2
            found.append(offset / (true[2:] - true[:2]))
    return float(np.sqrt(np.mean(np.square(found)))) if found else 0.1
