"""Constant-velocity filter of poses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kp3d_core.geometry.rotation import make_transform, rotation_angle
from kp3d_core.geometry.symmetry import UNKNOWN_VARIANCE, free_rotation
from kp3d_core.inference import PoseFilter

DT = 1 / 30
STD_M, STD_RAD = 0.02, 0.05
COVARIANCE = np.diag([STD_M**2] * 3 + [STD_RAD**2] * 3)


def _pose(time_s: float, speed: float = 0.5, rate: float = 0.8) -> np.ndarray:
    R = Rotation.from_rotvec([0.3, rate * time_s, 0.1]).as_matrix()
    return make_transform(R, np.array([speed * time_s, 0.1, 2.0]))


def _noisy(T: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turn = Rotation.from_rotvec(rng.normal(0, STD_RAD, 3)).as_matrix()
    return make_transform(turn @ T[:3, :3], T[:3, 3] + rng.normal(0, STD_M, 3))


def _errors(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    return float(np.linalg.norm(a[:3, 3] - b[:3, 3])), float(rotation_angle(a[:3, :3], b[:3, :3]))


def test_even_motion_is_followed_without_lag_and_with_less_noise():
    rng = np.random.default_rng(1)
    smoother = PoseFilter(0.3, 0.6)
    raw, smooth = [], []
    for i in range(300):
        truth = _pose(i * DT)
        measured = _noisy(truth, rng)
        T, _ = smoother.update(i * DT, measured, COVARIANCE)
        if i > 60:
            raw.append(_errors(measured, truth))
            smooth.append(_errors(T, truth))

    # Root mean squares; measured 0.55 and 0.48. A lag of one image would be 17 mm, 1.5 degrees.
    ratio = np.sqrt(np.mean(np.square(smooth), axis=0) / np.mean(np.square(raw), axis=0))
    assert (ratio < 0.65).all()


def test_covariance_is_honest():
    squared = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        smoother = PoseFilter(0.3, 0.6)
        for i in range(90):
            truth = _pose(i * DT)
            T, covariance = smoother.update(i * DT, _noisy(truth, rng), COVARIANCE)
        turn = Rotation.from_matrix(truth[:3, :3] @ T[:3, :3].T).as_rotvec()
        error = np.concatenate([truth[:3, 3] - T[:3, 3], turn])
        squared.append(error @ np.linalg.solve(covariance, error))
    # Six degrees of freedom; less is right, too: even motion has no acceleration at all.
    assert 2.0 < np.mean(squared) < 7.5


def test_one_outlier_is_left_out_and_a_jump_is_followed():
    smoother = PoseFilter(0.3, 0.6)
    for i in range(60):
        smoother.update(i * DT, _pose(i * DT), COVARIANCE)
    far = _pose(0.0)
    far[:3, 3] += [0.0, 3.0, 0.0]

    answers = [smoother.update((60 + i) * DT, far, COVARIANCE)[0] for i in range(3)]

    assert [abs(T[1, 3] - 0.1) < 0.05 for T in answers[:2]] == [True, True]
    np.testing.assert_allclose(answers[2], far)


def test_starts_anew_after_a_pause_and_when_time_runs_backwards():
    for time_s in (5.0, -1.0):
        smoother = PoseFilter(0.3, 0.6)
        for i in range(30):
            smoother.update(i * DT, _pose(i * DT), COVARIANCE)
        T, covariance = smoother.update(time_s, _pose(9.0), COVARIANCE)
        np.testing.assert_array_equal(T, _pose(9.0))
        np.testing.assert_array_equal(covariance, COVARIANCE)


def test_time_constant_is_that_of_the_step_response():
    acceleration = 2.0
    smoother = PoseFilter(acceleration, 2.0)
    for i in range(90):
        smoother.update(i * DT, _pose(0.0), COVARIANCE)
    # Velocity steps from 0: the error rises, then falls; count from its peak.
    lags = []
    for i in range(60):
        truth = _pose(i * DT, speed=0.2, rate=0.0)
        T, _ = smoother.update((90 + i) * DT, truth, COVARIANCE)
        lags.append(truth[0, 3] - T[0, 3])
    peak = int(np.argmax(lags))
    fall = int(np.argmax(np.array(lags[peak:]) < lags[peak] / np.e))

    expected = (STD_M**2 * DT / acceleration**2) ** 0.25
    assert smoother.time_constant_s == pytest.approx(expected)
    # A damped second order does not fall exponentially: the constant tells its size.
    assert 0.4 < fall * DT / smoother.time_constant_s < 3


def test_what_is_unknown_about_an_axis_does_not_spread_where_the_axis_turns_to():
    rng = np.random.default_rng(7)
    told, smoother, plain = [], PoseFilter(0.3, 0.6, "full"), PoseFilter(0.3, 0.6)
    for i in range(120):
        truth = _pose(i * DT)
        measured = _noisy(truth, rng)
        free = free_rotation(COVARIANCE, measured[:3, 2])
        T, covariance = smoother.update(i * DT, measured, free)
        T_plain, covariance_plain = plain.update(i * DT, measured, COVARIANCE)
        told.append(_errors(T, T_plain))
    assert np.max(told) < 3e-6  # smoothed as if all was known; 0 reads as 2e-6
    axis = T[:3, 2]
    assert axis @ covariance[3:, 3:] @ axis == pytest.approx(UNKNOWN_VARIANCE)
    np.testing.assert_allclose(
        free_rotation(covariance, axis, 0.0), free_rotation(covariance_plain, axis, 0.0), atol=1e-9
    )
