"""Virtual cameras: direction, roll, and the homography there and back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kp3d_core.geometry.camera import project
from kp3d_core.geometry.crop import (
    look_at_rotation,
    make_crop_camera,
    uncrop_homography,
)

K_FULL = np.array([[500.0, 0, 321.5], [0, 498.0, 238.2], [0, 0, 1]])
rays = st.tuples(st.floats(-0.7, 0.7), st.floats(-0.5, 0.5)).map(lambda xy: np.array([*xy, 1.0]))
downs = st.tuples(st.floats(-0.6, 0.6), st.just(1.0), st.floats(-0.6, 0.6)).map(np.array)


def test_shapes(as_array):
    batch = as_array(np.tile([0.1, 0.2, 1.0], (4, 1)))
    assert tuple(look_at_rotation(batch).shape) == (4, 3, 3)
    assert tuple(look_at_rotation(batch, as_array([0, 1, 0])).shape) == (4, 3, 3)


def test_straight_ahead_changes_nothing(as_array):
    crop = make_crop_camera(as_array([0, 0, 2.5]), 700.0, 128)
    assert np.allclose(crop.R_crop_camera, np.eye(3), atol=1e-15)
    assert np.allclose(crop.K_crop, [[700, 0, 63.5], [0, 700, 63.5], [0, 0, 1]])


def test_homography_agrees_with_opencv(as_array):
    """OpenCV finds the same homography from four points that both cameras see."""
    crop = make_crop_camera(as_array([0.3, -0.1, 1]), 900.0, 128, as_array([0.1, 1, 0.2]))
    points = np.array([[0.2, -0.2, 1], [0.4, -0.2, 1], [0.2, 0.0, 1], [0.4, 0.05, 1]])
    full = project(points, K_FULL)
    cropped = project(points @ np.asarray(crop.R_crop_camera).T, np.asarray(crop.K_crop))
    judge = cv2.getPerspectiveTransform(cropped.astype(np.float32), full.astype(np.float32))
    H = np.asarray(uncrop_homography(as_array(K_FULL), crop.K_crop, crop.R_crop_camera))
    # Single precision of OpenCV's input.
    assert np.allclose(H / H[2, 2], judge, rtol=1e-3, atol=1e-3)


@given(ray=rays, down=downs)
def test_ray_is_centered_and_gravity_points_down(ray, down):
    crop = make_crop_camera(ray, 800.0, 128, down)
    R = crop.R_crop_camera
    assert np.allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)
    assert np.allclose(project((R @ ray)[None], crop.K_crop), 63.5, atol=1e-9)
    assert (R @ down)[0] == pytest.approx(0, abs=1e-12)
    assert (R @ down)[1] > 0


@given(ray=rays, down=downs, x=st.floats(-0.05, 0.05), y=st.floats(-0.05, 0.05))
def test_a_pixel_of_the_crop_is_led_back_to_the_image(ray, down, x, y):
    crop = make_crop_camera(ray, 800.0, 128, down)
    point = (ray + np.array([x, y, 0]))[None]
    in_crop = project(point @ crop.R_crop_camera.T, crop.K_crop)
    back = uncrop_homography(K_FULL, crop.K_crop, crop.R_crop_camera)
    assert np.allclose(
        cv2.perspectiveTransform(in_crop[None], back)[0], project(point, K_FULL), atol=1e-8
    )


@pytest.mark.parametrize(
    ("ray", "down"),
    [
        pytest.param((0, 0, 1), (0, 0, 1), id="looking straight down"),
        pytest.param((0, 0, 1), (0, 0, -1), id="looking straight up"),
        pytest.param((0, 1, 0), (0, 1, 0), id="along the y axis too"),
        pytest.param((0, 0, 1), (1e-4, 0, 1), id="nearly straight down"),
    ],
)
def test_gravity_along_the_ray_falls_back_to_the_image(as_array, ray, down):
    R = np.asarray(look_at_rotation(as_array(ray), as_array(down)))
    assert np.allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.allclose(R[2], ray, atol=1e-12)
    if ray[2] == 1:
        assert np.allclose(R, np.eye(3), atol=1e-12)


def test_gradients():
    torch = pytest.importorskip("torch", reason="gradients need torch")
    ray = torch.tensor([0.2, -0.1, 1.0], dtype=torch.float64, requires_grad=True)
    down = torch.tensor([0.1, 1.0, 0.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(look_at_rotation, (ray, down))
