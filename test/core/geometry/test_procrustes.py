"""Weighted Procrustes: golden cases, degenerate cases, scipy as judge, gradients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kp3d_core.geometry.procrustes import nearest_rotation, weighted_procrustes

seeds = st.integers(0, 2**32 - 2)
CROSS = np.array([[3, 0, 0], [-3, 0, 0], [0, 2, 0], [0, -2, 0], [0, 0, 1], [0, 0, -1]], float)


def _is_rotation(R) -> bool:
    R = np.asarray(R)
    return bool(np.allclose(R @ R.T, np.eye(3), atol=1e-9) and np.linalg.det(R) > 0)


def _case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, their noisy image under a random motion, and weights."""
    rng = np.random.default_rng(seed)
    source = rng.uniform([-1, -0.4, -0.4], [1, 0.4, 0.4], (8, 3))
    target = source @ Rotation.random(random_state=seed).as_matrix().T + rng.normal(size=3)
    return source, target + rng.normal(0, 0.05, target.shape), rng.uniform(0.1, 3, 8)


def test_shapes_broadcast(as_array):
    source = as_array(np.random.default_rng(0).normal(size=(5, 7, 3)))
    R, t = weighted_procrustes(source, source[0], as_array(np.ones((5, 7))))
    assert (tuple(R.shape), tuple(t.shape)) == ((5, 3, 3), (5, 3))


def test_quarter_turn_golden(as_array):
    source = np.concatenate([np.eye(3), np.zeros((1, 3))])
    Rz = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    target = source @ Rz.T + [1, 2, 3]
    # The reference writes the covariance as source times target transposed.
    covariance = (source - source.mean(0)).T @ (target - target.mean(0))
    expected = [[0.25, 0.75, -0.25], [-0.75, -0.25, -0.25], [0.25, -0.25, 0.75]]
    assert np.allclose(covariance, expected, atol=1e-12)
    assert np.allclose(np.linalg.svd(covariance)[1], [1, 1, 0.25], atol=1e-12)
    for shift in (0, 100):
        R, t = weighted_procrustes(as_array(source), as_array(target + shift))
        assert np.allclose(R, Rz, atol=1e-9)
        assert np.allclose(t, np.array([1, 2, 3]) + shift, atol=1e-9)


@pytest.mark.parametrize(
    ("mirror", "expected", "residual"),
    [((1, 1, -1), np.eye(3), 8), ((-1, 1, 1), np.diag([-1.0, 1, -1]), None)],
)
def test_mirrored_points_give_a_proper_rotation_golden(as_array, mirror, expected, residual):
    target = CROSS * mirror
    assert np.allclose(np.linalg.svd(CROSS.T @ target)[1], [18, 8, 2], atol=1e-12)
    R, t = weighted_procrustes(as_array(CROSS), as_array(target))
    assert np.allclose(R, expected, atol=1e-9)
    assert np.allclose(t, 0, atol=1e-9)
    if residual is not None:
        assert ((CROSS @ np.asarray(R).T - target) ** 2).sum() == pytest.approx(residual)


def test_planar_points_golden(as_array):
    source = np.array([[1, 0, 0], [-1, 0, 0], [0, 2, 0], [0, -2, 0]], float)
    Ry = Rotation.from_euler("y", 40, degrees=True).as_matrix()
    target = source @ Ry.T
    assert np.allclose(np.linalg.svd(source.T @ target)[1], [8, 2, 0], atol=1e-12)
    R, _ = weighted_procrustes(as_array(source), as_array(target))
    assert np.allclose(R, Ry, atol=1e-9)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(np.zeros((5, 3)), id="identical"),
        pytest.param(np.outer(np.linspace(-1, 1, 5), [1.0, 2, 3]), id="collinear"),
        pytest.param(np.concatenate([np.eye(3), -np.eye(3)]), id="equal singular values"),
    ],
)
def test_degenerate_points_stay_finite(source):
    torch = pytest.importorskip("torch", reason="gradients need torch")
    a = torch.tensor(source, requires_grad=True)
    b = torch.tensor(source + [0.0, 0, 5], requires_grad=True)
    R, t = weighted_procrustes(a, b)
    assert _is_rotation(R.detach())
    (R.sum() + t.sum()).backward()
    assert torch.isfinite(a.grad).all()
    assert torch.isfinite(b.grad).all()


@given(seed=seeds)
@settings(max_examples=50)
def test_agrees_with_scipy(seed):
    source, target, weights = _case(seed)
    R, t = weighted_procrustes(source, target, weights)
    w = weights / weights.sum()
    a, b = source - w @ source, target - w @ target
    judge, _ = Rotation.align_vectors(b, a, weights=weights)
    assert np.allclose(R, judge.as_matrix(), atol=1e-7)
    assert np.allclose(t, w @ target - R @ (w @ source), atol=1e-9)


@given(seed=seeds)
@settings(max_examples=50)
def test_invariants(seed):
    source, target, weights = _case(seed)
    R, t = weighted_procrustes(source, target, weights)
    assert _is_rotation(R)
    scaled, _ = weighted_procrustes(source, target, 7 * weights)
    assert np.allclose(scaled, R, atol=1e-9)
    back, _ = weighted_procrustes(target, source, weights)
    assert np.allclose(back, R.T, atol=1e-9)
    G, g = Rotation.random(random_state=seed + 1).as_matrix(), np.array([3.0, -1, 2])
    moved, moved_t = weighted_procrustes(source, target @ G.T + g, weights)
    assert np.allclose(moved, G @ R, atol=1e-9)
    assert np.allclose(moved_t, G @ t + g, atol=1e-9)


def test_uniform_weights_are_no_weights(as_array):
    source, target, _ = _case(3)
    uniform = weighted_procrustes(as_array(source), as_array(target), as_array(np.full(8, 1 / 8)))
    none = weighted_procrustes(as_array(source), as_array(target))
    assert np.allclose(uniform[0], none[0], atol=1e-12)
    assert np.allclose(uniform[1], none[1], atol=1e-12)


def test_weight_zero_removes_a_point(as_array):
    source, target, weights = _case(4)
    weights[2] = 0
    keep = np.arange(8) != 2
    target[2] += 100
    R, t = weighted_procrustes(as_array(source), as_array(target), as_array(weights))
    expected = weighted_procrustes(source[keep], target[keep], weights[keep])
    assert np.allclose(R, expected[0], atol=1e-9)
    assert np.allclose(t, expected[1], atol=1e-9)


def test_nearest_rotation_is_the_best_of_many(as_array):
    M = np.random.default_rng(5).normal(size=(3, 3))
    best = float(np.trace(np.asarray(nearest_rotation(as_array(M))).T @ M))
    others = Rotation.random(2000, random_state=5).as_matrix()
    assert best >= np.einsum("nij,ij->n", others, M).max()


def test_gradients():
    torch = pytest.importorskip("torch", reason="gradients need torch")
    source, target, weights = (torch.tensor(a, requires_grad=True) for a in _case(6))
    assert torch.autograd.gradcheck(weighted_procrustes, (source, target, weights))
    mirrored = (torch.tensor(CROSS + 0.01) * torch.tensor([1.0, 1, -1])).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda b: weighted_procrustes(torch.tensor(CROSS), b)[0], mirrored
    )
