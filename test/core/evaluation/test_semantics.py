"""Semantics of points whose tie to the landmarks is known."""

import numpy as np
import pytest

from kp3d_core.evaluation.semantics import (
    combination_errors,
    extent_share,
    leave_one_out,
    linear_errors,
    measure_semantics,
)

OBJECTS = 60
NAMES = tuple(f"landmark_{i}" for i in range(6))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def landmarks(rng):
    """Six landmarks that move by 0.2 in each direction from object to object."""
    return rng.uniform(-1, 1, (6, 3)) + rng.normal(0, 0.2, (OBJECTS, 6, 3))


WEIGHTS = np.array([[0.5, 0.5, 0, 0, 0, 0], [0.7, 0, 0.6, 0, -0.3, 0], [0, 0, 0, 1.0, 0, 0]])


def test_same_combination_on_every_object_has_no_error(landmarks):
    keypoints = np.einsum("nl,ilc->inc", WEIGHTS, landmarks)
    figures = measure_semantics(keypoints, landmarks, NAMES)
    assert figures["rms"] < 1e-5
    assert figures["within_01"] == 1
    assert figures["explained"] == pytest.approx(1, abs=1e-6)
    # It moves with its landmarks: 0.2 in three directions, halved in the mean of two.
    assert figures["keypoints"][0]["movement"] == pytest.approx(
        0.2 * np.sqrt(3) * np.linalg.norm(WEIGHTS[0]), rel=0.15
    )
    assert figures["keypoints"][2]["nearest_landmark"] == "landmark_3"
    assert figures["keypoints"][2]["nearest_distance"] == pytest.approx(0, abs=1e-6)


def test_noise_on_keypoints_is_what_is_found(landmarks, rng):
    # Standard deviation 0.05 in three directions; fitting 6 weights to 180 equations and leaving
    # one object out adds 3 % to the error.
    keypoints = np.einsum("nl,ilc->inc", WEIGHTS, landmarks)
    keypoints += rng.normal(0, 0.05, keypoints.shape)
    errors = combination_errors(landmarks, keypoints)
    assert errors.shape == (OBJECTS, 3)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(0.05 * np.sqrt(3), rel=0.12)


def test_frozen_points_are_told_from_semantic_ones(landmarks):
    still = np.broadcast_to(np.array([[0.3, -0.2, 0.1]]), (OBJECTS, 1, 3))
    figures = measure_semantics(still, landmarks, NAMES)
    assert figures["rms"] == pytest.approx(figures["rms_frozen"])
    assert figures["rms"] > 0.05  # landmarks move by 0.35, their mean by 0.14
    assert figures["movement"] == pytest.approx(0, abs=1e-12)
    assert figures["landmarks"]["movement"] == pytest.approx(0.2 * np.sqrt(3), rel=0.1)


def test_unrelated_movement_is_not_explained(landmarks, rng):
    keypoints = rng.normal(0, 0.1, (OBJECTS, 4, 3))
    figures = measure_semantics(keypoints, landmarks, NAMES)
    assert abs(figures["explained"]) < 0.15  # 0 but for the penalty's choice


def test_any_linear_tie_is_found(landmarks, rng):
    A, constant = rng.normal(0, 0.3, (18, 3)), [0.1, 0.2, 0.3]
    keypoints = (landmarks.reshape(OBJECTS, 18) @ A + constant)[:, None]
    assert linear_errors(landmarks, keypoints).max() < 1e-4
    assert combination_errors(landmarks, keypoints).max() > 0.1


def test_left_out_residuals_are_those_of_refitting(rng):
    rows, target = rng.normal(size=(9, 3, 4)), rng.normal(size=(9, 3, 2))
    quick = leave_one_out(rows, target)
    ridges = np.logspace(-12, 0, 25) * np.sum(rows**2)
    slow = []
    for ridge in ridges:
        residuals = []
        for i in range(9):
            X, y = np.delete(rows, i, 0).reshape(-1, 4), np.delete(target, i, 0).reshape(-1, 2)
            weights = np.linalg.solve(X.T @ X + ridge * np.eye(4), X.T @ y)
            residuals.append(target[i] - rows[i] @ weights)
        slow.append(np.array(residuals))
    best = min(slow, key=lambda r: np.sum(r**2))
    assert np.allclose(quick, best, atol=1e-6)


def test_extent_of_half_as_wide_points(rng):
    landmarks = rng.uniform(-1, 1, (5, 8, 3))
    share = extent_share(landmarks * [1.0, 0.5, 0.0], landmarks)
    assert share == {"x": pytest.approx(1), "y": pytest.approx(0.5), "z": pytest.approx(0)}


def test_too_few_objects(landmarks):
    with pytest.raises(ValueError, match="at least 3 objects, got 2. Render more"):
        measure_semantics(landmarks[:2], landmarks[:2], NAMES)
