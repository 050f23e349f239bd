"""Nothing is found where nothing is: the shipped models search images without their objects."""

from __future__ import annotations

import numpy as np
import pytest

from kp3d_core.evaluation.robustness.backgrounds import FAMILIES, paint_background
from kp3d_core.geometry.camera import intrinsics_from_fov
from kp3d_core.inference import CameraModel, Detector, ObjectTracker, load_model, shipped_models

SIZE_WH = (640, 480)
CAMERA = CameraModel(intrinsics_from_fov(np.radians(43.0), *SIZE_WH), *SIZE_WH)
ALLOWED = 1
"""Of five textures, one of every other family. Measured on 72 others: car 1, chair 8, plane 0 false
finds; without the confirmation by moved crops 26, 71 and 58."""


@pytest.fixture(scope="module", params=shipped_models())
def detector(request):
    return Detector(load_model(request.param))


def finds(detector, image) -> bool:
    tracker = ObjectTracker(detector)
    return bool(tracker.update(image, CAMERA, 1.0).found)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_nothing_is_found_in_uniform_images(detector, level):
    assert not finds(detector, np.full((480, 640, 3), level, np.uint8))


def test_hardly_anything_is_found_in_textures(detector):
    found = [
        family
        for family in FAMILIES[::2]
        if finds(
            detector,
            paint_background(
                family, np.random.default_rng(7), SIZE_WH[::-1], detector.model.category
            ),
        )
    ]
    assert len(found) <= ALLOWED, found
