"""sensor_msgs/CameraInfo to the camera model of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from kp3d_ros.camera_info_conversion import camera_from_info

K = np.array([[500.0, 0, 321.3], [0, 505.0, 237.2], [0, 0, 1]])
P = np.array([[450.0, 0, 310.0, 0], [0, 450.0, 240.0, 0], [0, 0, 1, 0]])
D = [-0.28, 0.09, 0.001, -0.0008, -0.01]


def info(**fields: Any) -> CameraInfo:
    calibration = {"width": 640, "height": 480, "k": K.ravel(), "p": P.ravel(), "d": D}
    return CameraInfo(**{"distortion_model": "plumb_bob", **calibration, **fields})


def test_full_image() -> None:
    camera = camera_from_info(info(), 640, 480, rectified=False)

    np.testing.assert_array_equal(camera.K, K)
    assert tuple(camera.distortion) == tuple(D)
    assert (camera.width, camera.height) == (640, 480)


def test_rectified_image_has_the_projection_matrix_and_no_distortion() -> None:
    camera = camera_from_info(info(), 640, 480, rectified=True)

    np.testing.assert_array_equal(camera.K, P[:, :3])
    assert tuple(camera.distortion) == ()


def test_binned_region_shows_the_same_rays() -> None:
    roi = RegionOfInterest(x_offset=100, y_offset=60, width=400, height=300)
    sensor = camera_from_info(info(), 640, 480, rectified=False)

    camera = camera_from_info(info(roi=roi, binning_x=2, binning_y=3), 200, 100, rectified=False)

    # Pixel (10, 20) of the image covers the sensor's pixels 120..121 x 120..122.
    np.testing.assert_allclose(camera.rays([[10, 20]]), sensor.rays([[120.5, 121]]), atol=1e-12)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("rational_polynomial", [0.4, 0.1, 1e-4, 2e-4, 0.01, 0.75, 0.2, 0.02]),
        ("equidistant", [0.05, -0.01, 0.003, -0.001]),
        ("equidistant", [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_distortion_models(model: str, d: list[float]) -> None:
    camera = camera_from_info(info(distortion_model=model, d=d), 640, 480, rectified=False)

    assert (camera.distortion_model, list(camera.distortion)) == (model, d)


@pytest.mark.parametrize(("model", "d"), [("", []), ("plumb_bob", [0.0] * 5), ("weird", [])])
def test_no_distortion(model: str, d: list[float]) -> None:
    camera = camera_from_info(info(distortion_model=model, d=d), 640, 480, rectified=False)

    assert tuple(camera.distortion) == ()


def test_uncalibrated() -> None:
    empty = CameraInfo(width=640, height=480)

    with pytest.raises(ValueError, match=r"uncalibrated: k\[0\] must be the focal length.*got 0"):
        camera_from_info(empty, 640, 480, rectified=False)
    with pytest.raises(ValueError, match=r"uncalibrated: p\[0\]"):
        camera_from_info(empty, 640, 480, rectified=True)


def test_other_size() -> None:
    with pytest.raises(ValueError, match=r"must have 640 x 480 pixels.*got 320 x 240"):
        camera_from_info(info(), 320, 240, rectified=False)


def test_other_size_than_the_binned_region() -> None:
    roi = RegionOfInterest(width=400, height=300)

    with pytest.raises(ValueError, match=r"200 x 150 pixels.*binning 2 x 2\), got 640 x 480"):
        camera_from_info(info(roi=roi, binning_x=2, binning_y=2), 640, 480, rectified=False)


def test_unknown_distortion_model() -> None:
    with pytest.raises(ValueError, match="distortion_model must be one of plumb_bob.*got 'weird'"):
        camera_from_info(info(distortion_model="weird"), 640, 480, rectified=False)


def test_not_a_number() -> None:
    with pytest.raises(ValueError, match="calibration cannot be used"):
        camera_from_info(info(d=[float("nan")] * 5), 640, 480, rectified=False)
