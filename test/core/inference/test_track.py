"""Front and back: which orientation of a followed object is believed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_model import CANONICAL, draw_scene

from kp3d_core.geometry.rotation import make_transform, rotation_angle, transform_points
from kp3d_core.inference import CameraModel, Detector, DetectorSettings, Region
from kp3d_core.inference.track import Track, flip_front_and_back

SETTINGS = DetectorSettings()
REGION = Region(220.0, 140.0, 200.0, 200.0)


@pytest.fixture
def detect(model, engine, pinhole):
    detector = Detector(model, engine, object_size_m=2.2)

    def run(angle: float, score: float = 0.9):
        R = Rotation.from_rotvec([0.5, angle, 0.3]).as_matrix()
        image = draw_scene(pinhole, make_transform(R, np.array([0.0, 0, 8])), 1.1)
        detection = detector.detect(image, pinhole, REGION)
        assert detection.accepted
        return dataclasses.replace(detection, orientation_score=score)

    return run


def _angle_deg(a, b) -> float:
    R_a, R_b = a.T_camera_object[:3, :3], b.T_camera_object[:3, :3]
    return float(np.rad2deg(rotation_angle(R_a, R_b)))


def test_flip_takes_each_keypoint_to_its_opposite_place(detect, pinhole):
    detection = detect(0.0)

    flipped = flip_front_and_back(detection, pinhole, 0.7)

    in_object = transform_points(np.linalg.inv(detection.T_camera_object), flipped.keypoints_camera)
    # Turned by 180 degrees about z: (x, y, z) becomes (-x, -y, z).
    expected = CANONICAL * 1.1 * [-1, -1, 1]
    np.testing.assert_allclose(in_object, expected, atol=0.1)  # the tiny model reads to 5 cm
    np.testing.assert_allclose(flipped.keypoints_uv, pinhole.project(flipped.keypoints_camera))
    assert _angle_deg(detection, flipped) == pytest.approx(180.0, abs=1e-3)
    assert flipped.orientation_score == 0.7


def test_another_calibration_shows_the_same_directions_in_other_pixels(detect, pinhole):
    track = Track(detect(0.0))
    before = track.detection
    K = pinhole.K * [[0.5], [0.5], [1.0]]

    track.change_camera(CameraModel(K, 320, 240))

    np.testing.assert_allclose(track.detection.keypoints_uv, before.keypoints_uv / 2, atol=1e-6)
    assert track.detection.keypoints_camera is before.keypoints_camera


def test_confused_images_are_turned_back(detect, pinhole):
    track = Track(detect(0.0))
    for step in range(1, 5):
        track.follow(detect(0.02 * step), pinhole, SETTINGS)
    seen = detect(0.1, score=0.6)
    confused = dataclasses.replace(flip_front_and_back(seen, pinhole, 0.6), orientation_score=0.6)

    answer = track.follow(confused, pinhole, SETTINGS)

    assert answer.accepted
    assert _angle_deg(answer, seen) < 1e-3
    np.testing.assert_allclose(answer.keypoints_camera, seen.keypoints_camera, atol=1e-9)
    assert answer.orientation_score > 0.9  # what many images say, not this one


def test_a_wrong_beginning_is_overthrown(detect, pinhole):
    right = detect(0.0, score=0.95)
    track = Track(flip_front_and_back(right, pinhole, 0.6))

    answers = [track.follow(right, pinhole, SETTINGS) for _ in range(6)]

    turned = [_angle_deg(answer, right) < 1 for answer in answers]
    assert turned == sorted(turned)  # once turned it stays
    assert turned[-1]
    assert all(answer.accepted for answer in answers)


def test_a_turn_that_is_no_confusion_is_not_believed_at_once(detect, pinhole):
    before, turned = detect(0.0), detect(1.9)
    track = Track(before)

    answers = [track.follow(turned, pinhole, SETTINGS) for _ in range(5)]

    assert [answer.accepted for answer in answers] == [False, False, False, True, True]
    assert answers[0].problems[0].startswith("the object seems to have turned by 10")


def test_without_patience_or_without_a_front_every_turn_is_believed(detect, pinhole):
    before, turned = detect(0.0), detect(1.9)
    impatient = DetectorSettings(turn_patience=0)
    assert Track(before).follow(turned, pinhole, impatient).accepted

    quarter = np.eye(4)
    quarter[:2, :2] = [[-0.2, -(0.96**0.5)], [0.96**0.5, -0.2]]  # 101.5 degrees about z
    about_z = dataclasses.replace(before, T_camera_object=before.T_camera_object @ quarter)
    for symmetry, accepted in (("none", False), ("full", True)):
        answer = Track(before, symmetry=symmetry).follow(about_z, pinhole, SETTINGS)
        assert answer.accepted == accepted


def test_two_fold_never_flips(detect, pinhole):
    # The network says now this, now that of two answers that are equally right.
    track = Track(detect(0.0), symmetry="two-fold")
    for step in range(1, 12):
        right = detect(0.05 * step)
        seen = flip_front_and_back(right, pinhole, 1.0) if step % 3 else right

        answer = track.follow(seen, pinhole, SETTINGS)

        assert answer.accepted
        assert _angle_deg(answer, right) < 1e-3
        np.testing.assert_allclose(answer.keypoints_camera, right.keypoints_camera, atol=1e-9)
