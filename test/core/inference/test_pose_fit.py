"""The weighted fit and its covariance; the judge of the covariance is Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_model import CANONICAL

from kp3d_core.geometry.procrustes import weighted_procrustes
from kp3d_core.inference.pose_fit import fit_pose, procrustes_jacobian

R_TRUE = Rotation.from_rotvec([0.4, -1.0, 0.3]).as_matrix()
T_TRUE = np.array([0.5, -0.3, 6.0])
TARGET = CANONICAL @ R_TRUE.T + T_TRUE
N = len(CANONICAL)


def _covariances(seed: int, size: float) -> np.ndarray:
    root = np.random.default_rng(seed).normal(0, size, (N, 3, 3))
    return root @ root.transpose(0, 2, 1)


def _pose_error(T: np.ndarray) -> np.ndarray:
    """Translation and rotation (fixed axes) from the true pose to T."""
    turn = Rotation.from_matrix(T[:3, :3] @ R_TRUE.T).as_rotvec()
    return np.concatenate([T[:3, 3] - T_TRUE, turn])


def test_exact_points_give_the_exact_pose():
    fit = fit_pose(CANONICAL, TARGET, np.zeros((N, 3, 3)), _covariances(0, 0.1))
    assert np.allclose(_pose_error(fit.T), 0, atol=1e-9)
    assert fit.residual == pytest.approx(0, abs=1e-9)
    assert fit.covariance().shape == (6, 6)


def test_no_covariance_at_all_weighs_alike():
    zero = np.zeros((N, 3, 3))
    noisy = TARGET + np.random.default_rng(1).normal(0, 0.02, TARGET.shape)
    fit = fit_pose(CANONICAL, noisy, zero, zero)
    R, t = weighted_procrustes(CANONICAL, noisy)
    assert np.allclose(fit.T[:3, :3], R)
    assert np.allclose(fit.T[:3, 3], t)
    assert np.isfinite(fit.covariance()).all()


def test_covariance_agrees_with_monte_carlo():
    """Own errors of both point sets and a shared error of the targets, all at once."""
    rng = np.random.default_rng(2)
    in_source, in_target = _covariances(3, 0.01), _covariances(4, 0.02)
    common = np.stack([0.05 * TARGET, rng.normal(0, 0.01, TARGET.shape)])
    source_common = rng.normal(0, 0.01, (1, N, 3))
    predicted = fit_pose(
        CANONICAL, TARGET, in_source, in_target,
        source_common=source_common, target_common=common,
    ).covariance()  # fmt: skip

    samples = 20000
    a = CANONICAL + np.einsum("nij,snj->sni", _roots(in_source), rng.normal(size=(samples, N, 3)))
    a += np.einsum("sm,mni->sni", rng.normal(size=(samples, 1)), source_common)
    b = TARGET + np.einsum("nij,snj->sni", _roots(in_target), rng.normal(size=(samples, N, 3)))
    b += np.einsum("sm,mni->sni", rng.normal(size=(samples, 2)), common)
    weights = 1 / np.trace(in_source + in_target, axis1=1, axis2=2)
    R, t = weighted_procrustes(a, b, weights)
    turns = Rotation.from_matrix(R @ R_TRUE.T).as_rotvec()
    measured = np.cov(np.concatenate([t - T_TRUE, turns], axis=1).T)

    # Whitened by the prediction, the measured covariance is the identity up to sampling (1 to 3 %
    # for 20000 samples) and second-order terms.
    whitener = np.linalg.inv(np.linalg.cholesky(predicted))
    assert np.allclose(whitener @ measured @ whitener.T, np.eye(6), atol=0.06)


def _roots(covariances: np.ndarray) -> np.ndarray:
    return np.linalg.cholesky(covariances)


def test_jacobian_is_the_derivative_even_with_residuals():
    rng = np.random.default_rng(5)
    weights = rng.uniform(0.2, 1, N)
    weights /= weights.sum()
    noisy = TARGET + rng.normal(0, 0.1, TARGET.shape)
    R, t = weighted_procrustes(CANONICAL, noisy, weights)
    J = procrustes_jacobian(CANONICAL, noisy, weights, R)
    h = 1e-6
    for i in range(N):
        for axis in range(3):
            moved = noisy.copy()
            moved[i, axis] += h
            R_h, t_h = weighted_procrustes(CANONICAL, moved, weights)
            turn = Rotation.from_matrix(R_h @ R.T).as_rotvec()
            numeric = np.concatenate([t_h - t, turn]) / h
            assert np.allclose(J[i, :, axis], numeric, atol=1e-5)


def test_an_uncertain_keypoint_counts_less():
    covariance = np.tile(1e-4 * np.eye(3), (N, 1, 1))
    covariance[2] *= 1e6
    wrong = TARGET.copy()
    wrong[2] += [1.0, -1.0, 2.0]
    fit = fit_pose(CANONICAL, wrong, np.zeros((N, 3, 3)), covariance)
    assert np.abs(_pose_error(fit.T)).max() < 1e-4
    assert (
        np.abs(_pose_error(fit_pose(CANONICAL, wrong, 0 * covariance, 0 * covariance).T)).max()
        > 0.1
    )


def test_covariance_turns_with_the_target_frame():
    in_source, in_target = _covariances(6, 0.01), _covariances(7, 0.02)
    G = Rotation.from_rotvec([0.2, 0.7, -0.4]).as_matrix()
    here = fit_pose(CANONICAL, TARGET, in_source, in_target).covariance()
    there = fit_pose(CANONICAL, TARGET @ G.T, in_source, G @ in_target @ G.T).covariance()
    turn = np.kron(np.eye(2), G)
    assert np.allclose(there, turn @ here @ turn.T, atol=1e-12)


def test_collinear_points_leave_the_turn_about_their_line_open():
    line = np.outer(np.linspace(-1, 1, N), [1.0, 0, 0])
    covariance = np.tile(1e-4 * np.eye(3), (N, 1, 1))
    fit = fit_pose(line, line + [0, 0, 5.0], 0 * covariance, covariance)
    assert np.isfinite(fit.covariance()).all()
    assert np.linalg.det(fit.T[:3, :3]) == pytest.approx(1)


def test_a_wrong_distance_of_the_source_is_carried_around_by_errors_of_the_rotation():
    """Second order, but large: the source is misplaced by 2 while the rotation errs by 0.1."""
    rng = np.random.default_rng(8)
    in_target = np.tile(0.12**2 * np.eye(3), (N, 1, 1))
    misplaced = np.broadcast_to([0.0, 0.0, 2.0], (1, N, 3))
    predicted = fit_pose(
        CANONICAL, TARGET, np.zeros((N, 3, 3)), in_target, source_common=np.array(misplaced)
    ).covariance()
    errors = []
    for _ in range(4000):
        source = CANONICAL + rng.normal() * misplaced[0]
        target = TARGET + rng.normal(0, 0.12, TARGET.shape)
        R, t = weighted_procrustes(source, target)
        errors.append([*(t - T_TRUE), *Rotation.from_matrix(R @ R_TRUE.T).as_rotvec()])
    measured = np.cov(np.array(errors).T)
    # Along the misplacement it is first order; across, almost all of the error is of second order.
    axis = R_TRUE @ [0, 0, 1.0]
    side = np.cross(axis, [1.0, 0, 0]) / np.linalg.norm(np.cross(axis, [1.0, 0, 0]))
    for direction in (axis, side, np.cross(axis, side)):
        expected = direction @ predicted[:3, :3] @ direction
        assert direction @ measured[:3, :3] @ direction == pytest.approx(expected, rel=0.15)
    assert np.allclose(np.diag(measured)[3:], np.diag(predicted)[3:], rtol=0.15)
