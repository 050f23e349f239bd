"""Following an object: one engine call per image, reacquisition after a loss."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_model import draw_scene

from kp3d_core.geometry.rotation import make_transform
from kp3d_core.inference import Detector, DetectorSettings, Region, Tracker

REGION = Region(220.0, 140.0, 200.0, 200.0)


@pytest.fixture
def tracker(model, engine) -> Tracker:
    return Tracker(Detector(model, engine, object_size_m=2.2))


def _image(camera, angle: float, x: float, z: float = 8.0) -> np.ndarray:
    R = Rotation.from_rotvec([0.5, angle, 0.3]).as_matrix()
    return draw_scene(camera, make_transform(R, np.array([x, 0, z])), 1.1)


def test_follows_with_one_run_per_image(tracker, pinhole):
    assert not tracker.tracking
    first = tracker.update(_image(pinhole, 0.0, 0.0), pinhole, REGION)
    assert first.accepted
    assert tracker.tracking
    for step in range(1, 8):
        detection = tracker.update(
            _image(pinhole, 0.1 * step, 0.25 * step, 8 - 0.2 * step), pinhole
        )
        assert detection.accepted, detection.problems
        assert detection.runs == 1


def test_a_lost_object_is_found_again(tracker, pinhole):
    assert tracker.update(_image(pinhole, 0.0, 0.0), pinhole, REGION).accepted
    nothing = np.zeros((480, 640, 3), np.uint8)
    assert not tracker.update(nothing, pinhole, REGION).accepted
    assert not tracker.tracking
    assert tracker.update(_image(pinhole, 0.0, 0.1), pinhole, REGION).accepted


def test_an_object_that_jumped_is_found_in_its_region(tracker, pinhole):
    assert tracker.update(_image(pinhole, 0.0, -2.5), pinhole, Region(60.0, 140.0, 200.0, 200.0))
    detection = tracker.update(
        _image(pinhole, 0.0, 2.5), pinhole, Region(380.0, 140.0, 200.0, 200.0)
    )
    assert detection.accepted
    assert detection.T_camera_object[0, 3] == pytest.approx(2.5, abs=0.1)


def test_reset_forgets(tracker, pinhole):
    tracker.update(_image(pinhole, 0.0, 0.0), pinhole, REGION)
    tracker.reset()
    assert not tracker.tracking


def test_a_sudden_turn_is_not_believed_at_once(tracker, pinhole):
    as_before, turned = _image(pinhole, 0.0, 0.0), _image(pinhole, 2.6, 0.0)
    assert tracker.update(as_before, pinhole, REGION).accepted
    flipped = tracker.update(turned, pinhole)
    assert flipped.problems[0].startswith("front and back may be confused: turned by 14")
    assert tracker.tracking
    assert tracker.update(as_before, pinhole).accepted

    # Now it does not turn back: after three images it is believed.
    accepted = [tracker.update(turned, pinhole).accepted for _ in range(5)]
    assert accepted == [False, False, False, True, True]


def test_without_patience_every_turn_is_believed(model, engine, pinhole):
    settings = DetectorSettings(turn_patience=0)
    tracker = Tracker(Detector(model, engine, object_size_m=2.2, settings=settings))
    for angle in (0.0, 2.6, 0.0):
        assert tracker.update(_image(pinhole, angle, 0.0), pinhole, REGION).accepted
