"""Projection and its inverse; golden numbers are the paper code's, turned into our convention.

The paper's code looks along -z with y and v up: its (x, y, z) is our (x, -y, -z), its v our -v.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kp3d_core.geometry.camera import (
    intrinsics_from_fov,
    ndc_intrinsics,
    ndc_to_pixel,
    project,
    unproject,
)
from kp3d_core.geometry.rotation import invert_transform, make_transform, transform_points

F = 22.9037655484312  # 1 / tan(2.5 degrees)
GOLDEN = 1e-8  # the reference numbers have 8 decimals


def _paper_K() -> np.ndarray:
    """Intrinsics of the paper's training camera in NDC."""
    return np.diag([F, F, 1.0])


def _flip(points) -> np.ndarray:
    """Between the paper's OpenGL camera frame and ours."""
    return np.asarray(points, float) * [1, -1, -1]


def test_shapes_broadcast(as_array):
    K = as_array(np.tile(_paper_K(), (4, 1, 1)))
    points = as_array(np.random.default_rng(0).uniform([-1, -1, 29], [1, 1, 31], (4, 7, 3)))
    uv = project(points, K)
    assert tuple(uv.shape) == (4, 7, 2)
    assert tuple(unproject(uv, points[..., 2], K).shape) == (4, 7, 3)
    assert tuple(project(points, K[0]).shape) == (4, 7, 2)


def test_focal_length_of_the_paper():
    assert pytest.approx(1 / math.tan(math.radians(2.5)), abs=1e-10) == F
    K = ndc_intrinsics(intrinsics_from_fov(math.radians(5), 128, 128), (128, 128))
    assert np.allclose(K, _paper_K(), atol=1e-12)


def test_ndc_of_pixel_centers(as_array):
    ndc = as_array([[x, x] for x in (-0.9921875, -0.0078125, 0.0078125, 0.5703125, 0.9921875)])
    expected = [0, 63, 64, 100, 127]
    assert np.allclose(ndc_to_pixel(ndc, (128, 128))[..., 0], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("point", "uv"),
    [
        ((1, 0, -30), (0.76345885, 0)),
        ((0.3, -0.2, -29.5), (0.23291965, -0.15527977)),
        ((0, -1, -31), (0, -0.73883115)),
        ((0.8, 0, -30), (0.61076708, 0)),
    ],
)
def test_project_golden(as_array, point, uv):
    result = project(as_array(_flip([point])), as_array(_paper_K()))
    assert np.allclose(result, [[uv[0], -uv[1]]], atol=GOLDEN)


@pytest.mark.parametrize(
    ("uv", "depth", "point"),
    [
        ((0.25, -0.5), 30, (0.32745707, -0.65491414, -30)),
        ((-1, 1), 29, (-1.26616734, 1.26616734, -29)),
    ],
)
def test_unproject_golden(as_array, uv, depth, point):
    result = unproject(as_array([[uv[0], -uv[1]]]), as_array([depth]), as_array(_paper_K()))
    assert np.allclose(result, _flip([point]), atol=GOLDEN)


def test_reprojection_between_two_views_golden(as_array):
    """One view's keypoint with its depth, moved by the known motion, is the other view's."""
    flip = np.diag([1.0, -1.0, -1.0])
    Ry = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    # Object frames agree; only the camera frames are flipped.
    M0 = as_array(make_transform(flip, flip @ [0.0, 0, -30]))
    M1 = as_array(make_transform(flip @ Ry, flip @ [0.0, 0, -30]))
    T = M1 @ invert_transform(M0)
    assert np.allclose(T[:3, :3], flip @ Ry @ flip, atol=1e-12)
    assert np.allclose(T[:3, 3], flip @ [30, 0, -30], atol=1e-12)

    K = as_array(_paper_K())
    point = as_array([[0.5, 0.25, 0]])
    in_0, in_1 = transform_points(M0, point), transform_points(M1, point)
    assert np.allclose(project(in_0, K), [[0.38172943, -0.19086471]], atol=GOLDEN)
    assert np.allclose(project(in_1, K), [[0, -0.18773578]], atol=GOLDEN)
    assert np.allclose([in_0[0, 2], in_1[0, 2]], [30, 30.5], atol=1e-12)

    lifted = unproject(project(in_0, K), in_0[..., 2], K)
    assert np.allclose(project(transform_points(T, lifted), K), project(in_1, K), atol=1e-6)


def test_project_agrees_with_opencv(as_array):
    rng = np.random.default_rng(1)
    K = np.array([[500.0, 0, 321.5], [0, 498.0, 238.2], [0, 0, 1]])
    points = rng.uniform([-0.3, -0.2, 0.5], [0.3, 0.2, 3.0], (50, 3))
    judge, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, None)
    assert np.allclose(project(as_array(points), as_array(K)), judge[:, 0], atol=1e-9)


@given(
    u=st.floats(0, 639),
    v=st.floats(0, 479),
    depth=st.floats(0.3, 30),
    skew=st.floats(-2, 2),
    focal=st.floats(200, 2000),
)
def test_unproject_inverts_project(u, v, depth, skew, focal):
    K = np.array([[focal, skew, 320.0], [0, 1.01 * focal, 240.0], [0, 0, 1]])
    uv, depths = np.array([[u, v]]), np.array([depth])
    points = unproject(uv, depths, K)
    assert points[0, 2] == depth
    assert np.allclose(project(points, K), uv, atol=1e-9)


def test_unproject_inverts_project_behind_the_camera(as_array):
    """The formulas hold for any z but 0."""
    points, K = as_array([[0.3, -0.2, -29.5]]), as_array(_paper_K())
    assert np.allclose(unproject(project(points, K), points[..., 2], K), points, atol=1e-12)


def test_ndc_intrinsics_commute_with_ndc_to_pixel(as_array):
    K = np.array([[500.0, 0.5, 321.5], [0, 498.0, 238.2], [0, 0, 1]])
    points = as_array([[0.1, -0.2, 1.5], [0.4, 0.1, 0.9]])
    through_ndc = ndc_to_pixel(project(points, ndc_intrinsics(as_array(K), (640, 480))), (640, 480))
    assert np.allclose(project(points, as_array(K)), through_ndc, atol=3e-10)  # of 640 px


def test_gradients():
    torch = pytest.importorskip("torch", reason="gradients need torch")
    K = torch.tensor(_paper_K())
    points = torch.tensor([[0.3, -0.2, 29.5], [0.0, 1.0, 31.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: project(p, K), points.requires_grad_())
    uv = torch.tensor([[0.2, -0.5]], dtype=torch.float64, requires_grad=True)
    depth = torch.tensor([30.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: unproject(a, b, K), (uv, depth))
