"""Metrics against cases with known answers."""

import dataclasses

import numpy as np
import pytest

from kp3d_core.data.cameras import PaperCamera
from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.metrics import (
    PairErrors,
    absolute_rotation_deg,
    draw_pairs,
    instance_keypoints,
    keypoint_spread,
    mean_keypoints,
    pair_errors,
    share_inside,
    summarize_rotation,
    unflipped_views,
)
from kp3d_core.evaluation.predictions import Predictions
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.geometry.symmetry import turn_about_z

CAR_BOX = np.array([1.0, 0.35, 0.45])
"""Half sizes of a box like a car's [model units]."""


def predicted(keypoints_camera, keypoints_uv, keypoints_object=None):
    """Predictions with these keypoints; what rotation metrics do not read is neutral."""
    views, num = keypoints_camera.shape[:2], keypoints_camera.shape[2]
    if keypoints_object is None:
        keypoints_object = np.zeros_like(keypoints_camera)
    right = np.ones(views, dtype=bool)
    return Predictions(
        keypoints_uv=keypoints_uv,
        keypoints_camera=keypoints_camera,
        keypoints_object=keypoints_object,
        depth_offset=np.zeros((*views, num)),
        covariance=np.zeros((*views, num, 3, 3)),
        score=np.ones((*views, num)),
        scale=np.ones(views),
        scale_true=np.ones(views),
        flag=right,
        flag_true=right,
    )


@pytest.fixture(scope="module")
def oracle():
    """300 objects of 10 keypoints each in 20 views of the paper's camera, known exactly."""
    rng = np.random.default_rng(0)
    cameras = [[PaperCamera().sample(rng, 128) for _ in range(20)] for _ in range(300)]
    T = np.array([[c.T_camera_object for c in row] for row in cameras], dtype=np.float32)
    K = np.array([[c.K for c in row] for row in cameras], dtype=np.float32)
    X_object = rng.uniform(-1, 1, (300, 1, 10, 3)) * CAR_BOX
    X_camera = transform_points(T.astype(np.float64), X_object)
    uv = project(X_camera, K.astype(np.float64))
    rgba = np.zeros((300, 20, 1, 1, 4), dtype=np.uint8)
    views = ViewSet(rgba, K, T, tuple(map(str, range(300))), "car", 1465.8, 30.0)
    everywhere = np.repeat(X_object, 20, axis=1)
    return predicted(X_camera, uv, everywhere), views, X_object


def test_oracle_has_no_error(oracle):
    predictions, views, _ = oracle
    errors = pair_errors(predictions, views, 10)
    assert len(errors.rotation_deg) == 3000
    assert errors.rotation_deg.max() < 1e-3  # float32 cameras; and 0 rounds up to 2e-6 rad
    assert errors.consistency_px.max() < 1e-3  # float32 cameras at 30 units


@pytest.mark.parametrize("symmetry", ["two-fold", "full"])
def test_a_turn_that_nobody_sees_is_no_error(oracle, symmetry):
    predictions, views, X_object = oracle
    rng = np.random.default_rng(2)
    angle = rng.uniform(-np.pi, np.pi, (300, 20))
    angle = np.pi * rng.integers(2, size=(300, 20)) if symmetry == "two-fold" else angle
    T = views.T_camera_object.astype(np.float64)
    turned = transform_points(turn_about_z(T, np.cos(angle), np.sin(angle)), X_object)
    seen = predicted(turned, predictions.keypoints_uv)
    plain = pair_errors(seen, views, 10).rotation_deg
    assert np.mean(plain > 45) > 0.4
    known = dataclasses.replace(views, symmetry=symmetry)
    assert pair_errors(seen, known, 10).rotation_deg.max() < 1e-3
    # A turn about another axis is one.
    tilted = transform_points(T, X_object[..., [2, 1, 0]] * [1, 1, -1])  # 90 degrees about y
    tilted = predicted(tilted, predictions.keypoints_uv)
    canonical, poses = X_object, views.T_camera_object
    absolute = absolute_rotation_deg(tilted, canonical, poses, symmetry)
    assert absolute == pytest.approx(np.full((300, 20), 90.0), abs=1e-2)


def test_noise_of_the_paper_on_perfect_keypoints(oracle):
    # Perfect keypoints with the noise of the authors' evaluation, sigma 0.1: mean 10.3, median 9.4
    # degrees; 3000 pairs give a standard error of 0.1.
    predictions, views, _ = oracle
    rng = np.random.default_rng(1)
    noisy = predictions.keypoints_camera + rng.normal(0, 0.1, predictions.keypoints_camera.shape)
    noisy = predicted(noisy, predictions.keypoints_uv)
    summary = summarize_rotation(pair_errors(noisy, views, 10).rotation_deg)
    assert summary.mean == pytest.approx(10.3, abs=0.4)
    assert summary.median == pytest.approx(9.4, abs=0.4)


def test_a_predictor_that_ignores_the_image_scores_like_the_identity(oracle):
    # Relative rotations of the paper's sampling: mean 95.8, median 94.5 degrees.
    predictions, views, X_object = oracle
    still = np.broadcast_to(X_object + [0, 0, 30], predictions.keypoints_camera.shape)
    constant = predicted(np.ascontiguousarray(still), predictions.keypoints_uv)
    summary = summarize_rotation(pair_errors(constant, views, 10).rotation_deg)
    assert summary.mean == pytest.approx(95.8, abs=2.5)
    assert summary.median == pytest.approx(94.5, abs=4)
    assert summary.flipped == pytest.approx(0.53, abs=0.04)


def test_absolute_rotation_of_the_oracle(oracle):
    predictions, views, X_object = oracle
    one = predicted(predictions.keypoints_camera[:1], predictions.keypoints_uv[:1])
    angles = absolute_rotation_deg(one, X_object[0, 0], views.T_camera_object[:1])
    assert angles.shape == (1, 20)
    assert angles.max() < 1e-3


def test_spread_of_a_keypoint_seen_in_two_places():
    X = np.array([[[[0.1, 0, 0]], [[-0.1, 0, 0]]]])
    both = np.ones((1, 2), dtype=bool)
    assert keypoint_spread(X, both) == pytest.approx(0.1)
    assert keypoint_spread(X, np.array([[True, False]])) == 0


def test_means_leave_out_wrong_orientations():
    X = np.array([[[[1.0, 0, 0]], [[-9.0, 0, 0]]], [[[3.0, 0, 0]], [[3.0, 0, 0]]]])
    used = np.array([[True, False], [True, True]])
    assert mean_keypoints(X, used).tolist() == [[2, 0, 0]]
    assert len(instance_keypoints(X, np.array([[False, False], [True, True]]))) == 1


def test_pairs_use_every_view_once_while_they_last():
    pairs = draw_pairs(200, 100, np.random.default_rng(0))
    assert sorted(pairs.ravel()) == list(range(200))
    few = draw_pairs(5, 12, np.random.default_rng(0))
    assert few.shape == (12, 2)
    assert (few[:, 0] != few[:, 1]).all()


def test_summary_shares():
    summary = summarize_rotation(np.array([1.0, 7.0, 20.0, 170.0]))
    assert summary.mean == pytest.approx(49.5)
    assert summary.median == pytest.approx(13.5)
    shares = (summary.within_5, summary.within_10, summary.within_30, summary.flipped)
    assert shares == (0.25, 0.5, 0.75, 0.25)


def test_views_of_flipped_pairs_are_left_out():
    views = np.array([[0, 1], [2, 3], [1, 2]])
    errors = PairErrors(np.array([3.0, 178.0, 90.0]), np.zeros(3), np.array([0, 0, 1]), views)
    used = unflipped_views(errors, 2, 4)
    assert used.tolist() == [[True, True, False, False], [False, True, True, False]]


def test_share_of_keypoints_on_the_object():
    rgba = np.zeros((1, 1, 8, 8, 4), dtype=np.uint8)
    rgba[..., 2:4, 5, 3] = 255  # rows 2 and 3 of column 5
    rgba[..., 4, 5, 3] = 127  # less than half covered
    views = ViewSet(
        rgba, np.eye(3, dtype=np.float32)[None, None], np.eye(4, dtype=np.float32)[None, None],
        ("one",), "car", 1465.8, 30.0,
    )  # fmt: skip
    uv = np.array([[[[5.4, 2.0], [5.0, 3.4], [5.0, 4.0], [4.0, 3.0], [13.0, 2.0], [5.0, -0.6]]]])
    assert share_inside(predicted(np.zeros((1, 1, 6, 3)), uv), views) == pytest.approx(2 / 6)
