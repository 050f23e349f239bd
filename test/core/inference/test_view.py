"""Regions and the views that show them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kp3d_core.geometry.camera import project
from kp3d_core.geometry.crop import make_crop_camera
from kp3d_core.inference import CameraModel, Region, View
from kp3d_core.inference.view import view_of_region, whole_image


def test_region_fills_the_view(camera):
    region = Region(400.0, 60.0, 120.0, 70.0)
    view = view_of_region(region, camera, fill_px=80.0, input_size=128)
    crop = make_crop_camera(view.center_ray, view.focal_px, 128)
    corners = camera.rays([[400, 95], [520, 95], [460, 95]]) @ crop.R_crop_camera.T
    left, right, middle = project(corners, crop.K_crop)
    assert np.linalg.norm(right - left) == pytest.approx(80, abs=1e-6)
    assert np.allclose(middle, 63.5, atol=1e-6)


def test_whole_image_is_centered(pinhole):
    region = whole_image(pinhole)
    assert (region.width, region.height) == (640, 480)
    view = view_of_region(region, pinhole, fill_px=83.0, input_size=128)
    assert np.allclose(pinhole.project(view.center_ray), [319.5, 239.5], atol=1e-6)


def test_the_part_outside_the_image_is_cut_off(pinhole):
    cut = view_of_region(Region(-100.0, 100.0, 200.0, 50.0), pinhole, fill_px=80.0, input_size=128)
    inside = view_of_region(Region(-0.5, 100.0, 100.5, 50.0), pinhole, fill_px=80.0, input_size=128)
    assert np.allclose(cut.center_ray, inside.center_ray)
    assert cut.focal_px == pytest.approx(inside.focal_px)


def test_a_fisheye_view_stays_flat_enough():
    K = np.array([[180.0, 0, 320], [0, 180, 240], [0, 0, 1]])
    camera = CameraModel(K, 640, 480, (0.0,) * 4, "equidistant")  # 200 degrees wide
    view = view_of_region(whole_image(camera), camera, fill_px=83.0, input_size=128)
    assert math.degrees(math.atan(64 / view.focal_px)) < 60


@pytest.mark.parametrize(
    "values", [(0.0, 0.0, 0.0, 5.0), (0.0, 0.0, 5.0, -1.0), (math.nan, 0.0, 5.0, 5.0)]
)
def test_no_rectangle_is_refused(values):
    with pytest.raises(ValueError, match="positive width and height .* got x=.*None for the whole"):
        Region(*values)


def test_region_outside_the_image_is_refused(pinhole):
    with pytest.raises(ValueError, match="overlap the image of 640 x 480 px.*got Region.*Check"):
        view_of_region(Region(700.0, 10.0, 50.0, 50.0), pinhole, fill_px=80.0, input_size=128)


@pytest.mark.parametrize("width", [1e-13, 0.4])
def test_hardly_anything_in_the_image(pinhole, width):
    region = Region(100.0, 100.0, width, 50.0)

    with pytest.raises(ValueError, match=r"overlap the image of 640 x 480 px by at least 0.5 px"):
        view_of_region(region, pinhole, fill_px=80.0, input_size=96)


@pytest.mark.parametrize(
    ("ray", "focal_px", "message"),
    [
        ((0.0, 0.0, 0.0), 100.0, "center_ray must be a finite direction .*straight ahead"),
        ((0.0, math.nan, 1.0), 100.0, "center_ray must be a finite direction"),
        ((0.0, 0.0, 1.0), 0.0, "focal_px must be positive .* got 0"),
    ],
)
def test_bad_views_are_refused(ray, focal_px, message):
    with pytest.raises(ValueError, match=message):
        View(ray, focal_px)
