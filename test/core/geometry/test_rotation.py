"""Rotations: golden angles of the paper's pose loss, invariants, and scipy as judge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kp3d_core.geometry.rotation import (
    exp_rotation,
    invert_transform,
    make_transform,
    rotation_angle,
    skew,
    transform_points,
)

AXES = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, -0.48, 0.64)]
# The smoothing that keeps gradients finite shifts an angle by at most 2e-6 rad (at 0 and pi).
ANGLE_TOLERANCE = 3e-6

vectors = st.tuples(*[st.floats(-1.7, 1.7)] * 3).map(np.array)  # lengths up to 2.9 rad


def _rotation(axis, angle_deg: float) -> np.ndarray:
    return Rotation.from_rotvec(np.radians(angle_deg) * np.array(axis)).as_matrix()


def test_shapes(as_array):
    batch = as_array(np.zeros((5, 2, 3)))
    R = exp_rotation(batch)
    assert tuple(R.shape) == (5, 2, 3, 3)
    assert tuple(skew(batch).shape) == (5, 2, 3, 3)
    assert tuple(rotation_angle(R, R[0, 0]).shape) == (5, 2)
    assert tuple(make_transform(R, batch).shape) == (5, 2, 4, 4)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize(
    ("angle_deg", "frobenius", "squared", "loss"),
    [
        (0, 0, 0, 0),
        (1, 0.02468237, 0.00060922, 0.01745329),
        (30, 0.73205081, 0.53589838, 0.52359878),
        (60, 1.41421356, 2, 1.04719755),
        (90, 2, 4, 1.57079633),
        (120, 2.44948974, 6, 2.09439510),
        (180, 2.82842712, 8, 3.14159265),
    ],
)
def test_angle_golden(as_array, axis, angle_deg, frobenius, squared, loss):
    R, eye = _rotation(axis, angle_deg), np.eye(3)
    assert np.linalg.norm(R - eye) == pytest.approx(frobenius, abs=1e-8)
    assert np.linalg.norm(R - eye) ** 2 == pytest.approx(squared, abs=1e-8)
    angle = float(rotation_angle(as_array(R), as_array(eye)))
    assert angle == pytest.approx(loss, abs=ANGLE_TOLERANCE)
    assert angle == pytest.approx(math.radians(angle_deg), abs=ANGLE_TOLERANCE)


@pytest.mark.parametrize("angle_deg", [0, 1e-5, 30, 180 - 1e-5, 180])
def test_angle_has_a_finite_gradient_everywhere(angle_deg):
    torch = pytest.importorskip("torch", reason="gradients need torch")
    R = torch.tensor(_rotation((0.6, -0.48, 0.64), angle_deg), requires_grad=True)
    angle = rotation_angle(R, torch.eye(3, dtype=torch.float64))
    angle.backward()
    assert torch.isfinite(R.grad).all()


def test_angle_accepts_what_rounding_makes_longer_than_180_degrees(as_array):
    R = 1.000001 * np.diag([1.0, -1, -1])
    assert float(rotation_angle(as_array(R), as_array(np.eye(3)))) == pytest.approx(
        math.pi, abs=ANGLE_TOLERANCE
    )


@given(a=vectors, b=vectors)
def test_angle_agrees_with_scipy(a, b):
    R_a, R_b = exp_rotation(a), exp_rotation(b)
    judge = (Rotation.from_matrix(R_a).inv() * Rotation.from_matrix(R_b)).magnitude()
    assert float(rotation_angle(R_a, R_b)) == pytest.approx(judge, abs=ANGLE_TOLERANCE)
    assert float(rotation_angle(R_b, R_a)) == pytest.approx(judge, abs=ANGLE_TOLERANCE)


@given(vector=vectors)
def test_exponential_agrees_with_scipy(vector):
    # The angle is regularised by 1e-12 under its root: 1e-6 at angle 0, far less elsewhere.
    judge = Rotation.from_rotvec(vector).as_matrix()
    assert np.allclose(exp_rotation(vector), judge, atol=2e-6)
    R = exp_rotation(vector)
    assert np.allclose(R @ R.T, np.eye(3), atol=2e-6)


@given(a=vectors, b=vectors)
def test_skew_is_the_cross_product(a, b):
    assert np.allclose(skew(a) @ b, np.cross(a, b), atol=1e-12)


@given(vector=vectors, t=vectors)
def test_transform_inverse_composes_to_identity(vector, t):
    T = make_transform(Rotation.from_rotvec(vector).as_matrix(), t)
    assert np.allclose(T @ invert_transform(T), np.eye(4), atol=1e-12)
    points = np.array([[0.1, -0.4, 0.7], [1.0, 2.0, 3.0]])
    assert np.allclose(transform_points(T, points), points @ T[:3, :3].T + t, atol=1e-12)
    assert np.allclose(
        transform_points(invert_transform(T), transform_points(T, points)), points, atol=1e-12
    )


def test_gradients():
    torch = pytest.importorskip("torch", reason="gradients need torch")
    vector = torch.tensor([0.4, -0.7, 0.2], dtype=torch.float64, requires_grad=True)
    zero = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(exp_rotation, vector)
    assert torch.autograd.gradcheck(exp_rotation, zero, atol=1e-5)
    R = torch.tensor(_rotation((0, 0, 1), 50), requires_grad=True)
    eye = torch.eye(3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda M: rotation_angle(M, eye), R)
