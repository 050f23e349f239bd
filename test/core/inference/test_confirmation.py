"""Telling objects from patterns by moving the crop."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_model import CANONICAL, draw_scene

from kp3d_core.geometry.rotation import make_transform
from kp3d_core.inference import Detector, Region
from kp3d_core.inference.confirmation import confirmed

T = make_transform(Rotation.from_rotvec([0.5, 0.2, 0.3]).as_matrix(), np.array([0.3, -0.2, 9.0]))


class Imagining(Detector):
    """Sees the same keypoints in the middle of whatever it looks at."""

    share = 1.0
    """How far they follow the crop."""

    def detect_views(self, image, camera, views, *, down_camera=None, boxes=None):
        found = super().detect_views(image, camera, views, down_camera=down_camera)
        middles = [camera.project(view.center_ray[None])[0] for view in views]
        origin = camera.project(T[None, :3, 3])[0]
        return [
            dataclasses.replace(
                detection, keypoints_uv=detection.keypoints_uv + self.share * (middle - origin)
            )
            for detection, middle in zip(found, middles, strict=True)
        ]


@pytest.fixture
def image(pinhole):
    return draw_scene(pinhole, T, 1.3, CANONICAL)


def test_object_stays_where_it_is(model, engine, pinhole, image):
    detector = Detector(model, engine)
    found = detector.detect(image, pinhole, Region(200.0, 100.0, 240.0, 240.0))
    assert found.accepted
    assert confirmed(detector, image, pinhole, [found]) == [found]


def test_keypoints_that_follow_the_crop_are_refused(model, engine, pinhole, image):
    detector = Imagining(model, engine)
    found = detector.detect(image, pinhole, Region(200.0, 100.0, 240.0, 240.0))
    (judged,) = confirmed(detector, image, pinhole, [found])
    assert found.accepted
    assert not judged.accepted
    (problem,) = judged.problems
    assert problem.startswith("the keypoints move with the crop by ")
    # 12 % of a crop's width, which is about twice the diagonal around the keypoints at scale 1.
    assert 0.1 < float(problem.split(" by ")[1].split("%")[0]) / 100 < 0.4

    detector.share = 0.2
    assert confirmed(detector, image, pinhole, [found])[0].accepted


def test_refused_detections_keep_their_reason_and_place(model, engine, pinhole, image):
    detector = Detector(model, engine)
    found = detector.detect(image, pinhole, Region(200.0, 100.0, 240.0, 240.0))
    refused = dataclasses.replace(found, problems=("so",))
    assert confirmed(detector, image, pinhole, []) == []
    assert confirmed(detector, image, pinhole, [refused, found]) == [refused, found]
