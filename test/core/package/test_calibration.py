"""Calibration on made-up errors of known size, checked on fresh ones."""

import dataclasses

import numpy as np
import pytest

from kp3d_core.data.cameras import RobotCamera
from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.predictions import predict
from kp3d_core.evaluation.uncertainty import measure_uncertainty, observe, pose_error
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.geometry.symmetry import UNKNOWN_VARIANCE, canonical_pose, turn_about_z
from kp3d_core.inference import Calibration, KeypointLayout, Model, TrainingCamera
from kp3d_core.package.calibration import calibrate_keypoints, calibrate_pose, misfit_limit

SIZE, OBJECTS, VIEWS, NUM = 64, 40, 8, 9
UV_STD_PX, DEPTH_STD, SCALE_STD, SPREAD = 0.5, 0.04, 0.03, 0.02
CAMERA = RobotCamera()
CANONICAL = np.random.default_rng(0).uniform(-1, 1, (NUM, 3)) * [0.9, 0.4, 0.35]


class Recorded:
    """Returns made-up outputs in the order of the images, again and again."""

    name = device = precision = "fake"

    def __init__(self, outputs):
        self._outputs = {k: v.reshape(-1, *v.shape[2:]).astype("f4") for k, v in outputs.items()}
        self._next = 0

    def run(self, images):
        count = len(self._outputs["scale"])
        chosen = np.arange(self._next, self._next + len(images)) % count
        self._next = (self._next + len(images)) % count
        return {key: values[chosen] for key, values in self._outputs.items()}


def noisy_set(seed, symmetry):
    """Objects that differ by SPREAD, seen with errors that double where the score is low."""
    rng = np.random.default_rng(seed)
    cameras = [CAMERA.sample(rng, SIZE) for _ in range(OBJECTS * VIEWS)]
    shape = (OBJECTS, VIEWS)
    K = np.array([c.K for c in cameras], "f4").reshape(*shape, 3, 3)
    T = np.array([c.T_camera_object for c in cameras], "f4").reshape(*shape, 4, 4)
    T = canonical_pose(T, symmetry)
    training = (CAMERA.focal_px(SIZE), CAMERA.paper.distance)
    rgba = np.zeros((*shape, SIZE, SIZE, 4), np.uint8)
    keys = tuple(map(str, range(OBJECTS)))
    views = ViewSet(rgba, K, T, keys, "car", *training, symmetry=symmetry)
    points = CANONICAL + rng.normal(0, SPREAD, (OBJECTS, 1, NUM, 3))
    camera = transform_points(T.astype(float), points)
    hard = rng.random(shape) < 0.3
    factor = np.where(hard, 2.0, 1.0)[..., None]
    true_scale = K[..., 0, 0] / training[0] * training[1] / T[..., 2, 3]
    front = np.where(T[..., 0, 0] > 0, 1.0, -1.0)[..., None, None] * [[1.0, 0], [-1, 0]]
    uv_noise = rng.normal(0, UV_STD_PX, (*shape, NUM, 2)) * factor[..., None]
    depth_noise = rng.normal(0, DEPTH_STD, (*shape, NUM)) * factor
    outputs = {
        "keypoints_uv": project(camera, K.astype(float)) + uv_noise,
        "keypoints_depth": camera[..., 2] - T[..., 2, 3, None] + training[1] + depth_noise,
        "covariance": np.broadcast_to(np.diag([4.0, 4.0, 0.01]), (*shape, NUM, 3, 3)),
        "score": np.broadcast_to(np.where(hard, 0.7, 0.9)[..., None], (*shape, NUM)),
        "scale": true_scale * np.exp(rng.normal(0, SCALE_STD, shape)),
        "orientation_uv": front,
        "orientation_score": np.ones(shape),
    }
    return views, Recorded(outputs)


@pytest.fixture(scope="module", params=["none", "full"])
def calibrated(request):
    """A model whose covariances were calibrated on such a set."""
    layout = KeypointLayout(
        names=tuple(map(str, range(NUM))),
        colors=np.zeros((NUM, 3)),
        edges=np.zeros((0, 2), dtype=np.int64),
        canonical=CANONICAL,
        spread=np.full((NUM, 3), SPREAD),
        symmetry=request.param,
    )
    camera = TrainingCamera(CAMERA.focal_px(SIZE), CAMERA.paper.distance)
    model = Model(
        name="fake", category="car", version="1", input_size=SIZE, training_camera=camera,
        keypoints=layout, calibration=Calibration(), metrics={}, provenance={},
        data=b"", sha256="",
    )  # fmt: skip
    views, engine = noisy_set(1, request.param)
    predictions = predict(model, engine, views)
    model = dataclasses.replace(model, calibration=calibrate_keypoints(predictions, views))
    calibration = calibrate_pose(model, engine, views, predictions)
    return dataclasses.replace(model, calibration=calibration)


def seen_turns(model):
    """Components of a rotation that can be seen."""
    return 2 if model.symmetry == "full" else 3


def test_calibration_finds_the_errors_that_were_made(calibrated):
    calibration = calibrated.calibration
    assert calibration.scale_std == pytest.approx(SCALE_STD, rel=0.15)
    # Errors of keypoints are independent here, so poses need no factor.
    for name in ("rotation_scale", "translation_scale", "relative_rotation_scale"):
        assert getattr(calibration, name) == pytest.approx(1, abs=0.15), name
    # Hardly seen beside the errors of two distances.
    assert 0.3 < calibration.relative_translation_scale < 2
    # A score of 0.2 less is a misfit of 0.07 more and means twice the error; larger residuals of
    # harder views share in that, hence a smaller slope than ln(2) / 0.07.
    assert 4 < calibration.own_growth.misfit < 10.5
    assert abs(calibration.own_growth.log_distance) < 0.1
    assert abs(calibration.scale_growth.misfit) < 4


def test_what_was_calibrated_is_what_runs(calibrated):
    # On the very views of the calibration the factors are exact, growth or not.
    views, engine = noisy_set(1, calibrated.symmetry)
    predictions = predict(calibrated, engine, views)
    measured = measure_uncertainty(calibrated, engine, views, predictions, VIEWS)
    for part, dof in (("rotation", seen_turns(calibrated)), ("translation", 3)):
        assert measured["absolute"][part]["mean"] == pytest.approx(dof, rel=1e-3), part


def test_fresh_errors_are_as_large_as_told(calibrated):
    views, engine = noisy_set(2, calibrated.symmetry)
    turns = seen_turns(calibrated)
    predictions = predict(calibrated, engine, views)
    measured = measure_uncertainty(calibrated, engine, views, predictions, VIEWS)
    assert measured["outliers"] == 0
    assert measured["accepted"] > 0.95
    accepted = round(measured["accepted"] * OBJECTS * VIEWS)
    assert measured["keypoints"]["samples"] == accepted * NUM
    assert measured["keypoints"]["mean"] == pytest.approx(3, rel=0.1)
    for name in ("absolute", "relative"):
        for part, dof in (("rotation", turns), ("translation", 3), ("pose", 3 + turns)):
            # The requirement on real models; sampling alone is worth 5 %.
            assert measured[name][part]["mean"] == pytest.approx(dof, rel=0.2), (name, part)


def test_a_bottle_has_no_yaw_and_the_other_errors_are_right(calibrated):
    views, engine = noisy_set(3, calibrated.symmetry)
    errors, told = [], []
    for row, poses in zip(observe(calibrated, engine, views), views.T_camera_object, strict=True):
        for detection, T in zip(row, poses.astype(float), strict=True):
            turned = T @ turn_about_z(np.eye(4), np.array(-0.6), np.array(0.8))  # as right
            error = pose_error(detection.T_camera_object, turned, calibrated.symmetry)
            R = detection.T_camera_object[:3, :3]
            errors.append(error[3:] @ R)  # about the object's own axes
            told.append(np.diag(R.T @ detection.pose_covariance[3:, 3:] @ R))
    error, told = np.mean(np.square(errors), axis=0), np.mean(told, axis=0)
    if calibrated.symmetry == "none":
        assert error[2] > 0.5  # a turn by 127 degrees is an error
        assert told[2] < 0.01
        return
    assert told[2] == pytest.approx(UNKNOWN_VARIANCE)
    assert error[2] < 1e-4  # none is counted
    assert told[:2] == pytest.approx(error[:2], rel=0.35)  # rad^2, 320 views


def test_misfit_limit_is_that_of_right_views():
    right, wrong = np.linspace(0, 0.2, 201), np.full(50, 0.7)
    misfits, errors = np.concatenate([right, wrong]), np.repeat([3.0, 25.0], [201, 50])
    assert misfit_limit(misfits, errors) == pytest.approx(0.199)
    assert misfit_limit(misfits, np.zeros(251)) == pytest.approx(0.7)
    assert misfit_limit(wrong, np.full(50, 25.0)) == Calibration.misfit_limit
