"""How the time of an image grows with the number of objects."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from kp3d_core.benchmark.timing import measure
from kp3d_core.inference import CameraModel, Detector, Engine, Model, View

OBJECT_COUNTS = (1, 2, 4, 8, 16)
_IMAGE_WH = (640, 480)
_FOCAL_PX = 600.0


def object_rows(
    model: Model, engine: Engine, seconds: float, counts: Sequence[int] = OBJECT_COUNTS
) -> Iterator[dict[str, Any]]:
    """Time from one camera image to the poses of several objects that are being followed.

    Cropping, one engine call for all, keypoints, poses and covariances: all but ROS.
    """
    width, height = _IMAGE_WH
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    K = np.array([[_FOCAL_PX, 0, (width - 1) / 2], [0, _FOCAL_PX, (height - 1) / 2], [0, 0, 1]])
    camera, detector = CameraModel(K, width, height), Detector(model, engine)
    for count in counts:
        centres = rng.uniform((100, 100), (width - 100, height - 100), (count, 2))
        # Crops that shrink the image by two, as of an object of medium size.
        views = [View(ray, _FOCAL_PX / 2) for ray in camera.rays(centres)]
        look = functools.partial(detector.detect_views, image, camera, views)
        latency = measure(look, seconds)
        yield {
            "objects": count,
            "name": engine.name,
            "precision": engine.precision,
            **asdict(latency),
        }
