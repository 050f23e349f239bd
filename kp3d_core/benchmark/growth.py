"""How cost grows with the size of the network's input and with the number of objects."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kp3d_core.benchmark.baseline import figures
from kp3d_core.benchmark.networks import model_of, multiplications, random_graph
from kp3d_core.benchmark.timing import measure
from kp3d_core.inference import CameraModel, Detector, Engine, Model, View

INPUT_SIZES = (64, 96, 128, 192, 256)
"""[px]."""
OBJECT_COUNTS = (1, 2, 4, 8, 16)
_IMAGE_WH = (640, 480)
_FOCAL_PX = 600.0


def models_of_sizes(sizes: Sequence[int] = INPUT_SIZES) -> list[Model]:
    """The `fast` network with its mirror image and random weights, for inputs of several sizes."""
    return [model_of(random_graph("fast", size, mirror=True), f"fast_{size}") for size in sizes]


def input_size_rows(
    models: Sequence[Model], make_engine: Callable[[Model], Engine], seconds: float
) -> Iterator[dict[str, Any]]:
    """Latency of one image for each of several models."""
    for model in models:
        size, engine = model.input_size, make_engine(model)
        image = np.zeros((1, size, size, 3), np.uint8)
        latency = measure(functools.partial(engine.run, image), seconds)
        gflop = 2e-9 * multiplications(model.data)
        yield {
            "input_size": size,
            "name": engine.name,
            "precision": engine.precision,
            "batch": 1,
            **figures(latency, 1, gflop),
        }


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
            "p50_ms": latency.p50_ms,
            "p99_ms": latency.p99_ms,
            "runs": latency.runs,
        }
