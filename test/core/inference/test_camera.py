"""Camera models against OpenCV, at the corners too, and what a bad calibration gets as answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import project_with_opencv

from kp3d_core.inference import CameraModel

K = np.array([[500.0, 0, 320], [0, 505, 240], [0, 0, 1]])


def _pixels(camera: CameraModel) -> np.ndarray:
    """A grid that includes the corners."""
    u = np.linspace(0, camera.width - 1, 9)
    v = np.linspace(0, camera.height - 1, 7)
    return np.stack(np.meshgrid(u, v), axis=-1)


def test_shapes(camera):
    uv = _pixels(camera)
    assert camera.rays(uv).shape == (7, 9, 3)
    assert camera.project(camera.rays(uv)).shape == (7, 9, 2)


def test_project_agrees_with_opencv(camera):
    points = 3.0 * camera.rays(_pixels(camera)).reshape(-1, 3)
    judge = project_with_opencv(camera, points)
    assert np.allclose(camera.project(points), judge, atol=1e-6)


def test_rays_invert_project_up_to_the_corners(camera):
    uv = _pixels(camera)
    rays = camera.rays(uv)
    assert np.allclose(np.linalg.norm(rays, axis=-1), 1, atol=1e-12)
    assert np.allclose(camera.project(2.5 * rays), uv, atol=1e-6)


@given(k1=st.floats(-0.35, 0.3), k2=st.floats(-0.05, 0.1), p=st.floats(-2e-3, 2e-3))
def test_rays_invert_project_for_any_lens(k1, k2, p):
    camera = CameraModel(K, 640, 480, (k1, k2, p, -p, 0.0))
    uv = _pixels(camera)
    back = camera.project(camera.rays(uv))
    # Where the lens model folds back inside the image, no ray exists for the corner pixels.
    reachable = np.hypot(*(uv - [320, 240]).T / 500) < 0.55
    assert np.allclose(back[reachable.T], uv[reachable.T], atol=1e-4)


def test_skewed_pixels_are_inverted():
    camera = CameraModel(np.array([[500.0, 3, 320], [0, 505, 240], [0, 0, 1]]), 640, 480)
    uv = _pixels(camera)
    assert np.allclose(camera.project(camera.rays(uv)), uv, atol=1e-9)


def test_points_beyond_the_fold_stay_outside():
    """Barrel distortion folds the far outside back into the image; it must not appear there."""
    camera = CameraModel(K, 640, 480, (-0.28, 0.0, 0.0, 0.0, 0.0))
    directions = np.array([[t, 0.1, 1.0] for t in np.linspace(1.1, 50, 40)])
    assert project_with_opencv(camera, directions)[:, 0].min() < 0  # OpenCV shows the fold
    assert camera.project(directions)[:, 0].min() > 639


def test_points_behind_stay_outside(camera):
    directions = np.array([[0.3, 0.1, -1.0], [-2.0, 0.5, -0.5], [0.1, -0.3, -2.0]])
    uv = camera.project(directions)
    assert np.isfinite(uv).all()
    outside = (uv < -0.5) | (uv > [639.5, 479.5])
    assert outside.any(axis=1).all()


def test_no_coefficients_means_no_distortion():
    points = np.array([[0.3, -0.2, 1.0]])
    for model in ("plumb_bob", "equidistant", ""):
        assert np.allclose(CameraModel(K, 640, 480, (), model).project(points), [[470, 139]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"K": np.zeros((3, 3))}, r"K\[0, 0\] and K\[1, 1\] must be positive, got 0 and 0.*calibr"),
        ({"K": np.full((3, 3), np.nan)}, "K must be finite"),
        ({"K": np.eye(4)}, r"K must have shape \(3, 3\), got \(4, 4\)"),
        ({"K": K.T}, "Pass intrinsics, not a projection matrix or a transposed one"),
        ({"width": 0}, "width and height must be positive, got 0 x 480"),
        ({"distortion": (0.1, 0.2)}, "plumb_bob needs 4 or 5 .* got 2"),
        (
            {"distortion": (0.1,) * 5, "distortion_model": "equidistant"},
            "equidistant needs 4 distortion coefficients .* got 5",
        ),
        ({"distortion": (0.1,) * 5, "distortion_model": "fov"}, "must be one of .* got 'fov'"),
        ({"distortion": (np.inf, 0.0, 0.0, 0.0, 0.0)}, "coefficients must be finite"),
        (
            {"distortion": (0.1,) * 12, "distortion_model": "rational_polynomial"},
            "thin-prism and tilt terms",
        ),
    ],
)
def test_bad_calibration_is_refused(changes, message):
    values = {"K": K, "width": 640, "height": 480, "distortion": (), **changes}
    with pytest.raises(ValueError, match=message):
        CameraModel(**values)


def test_all_problems_come_in_one_error():
    with pytest.raises(ValueError, match="width and height.*focal lengths.*plumb_bob needs"):
        CameraModel(np.zeros((3, 3)), 0, 0, (1.0,))
