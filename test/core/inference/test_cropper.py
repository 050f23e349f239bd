"""Crops: identity, geometry, what lies outside, and aliasing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from kp3d_core.geometry.camera import project
from kp3d_core.geometry.crop import CropCamera, make_crop_camera, uncrop_homography
from kp3d_core.inference import CameraModel
from kp3d_core.inference.cropper import extract_crop

K = np.array([[500.0, 0, 321.3], [0, 505.0, 237.2], [0, 0, 1]])
AHEAD = np.array([0.0, 0, 1])


def _noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_the_same_camera_copies_the_image_bit_for_bit():
    focal = 1466.0
    camera = CameraModel(np.array([[focal, 0, 63.5], [0, focal, 63.5], [0, 0, 1]]), 128, 128)
    image = _noise(128, 128)
    crop = extract_crop(image, camera, make_crop_camera(AHEAD, focal, 128))
    assert crop.dtype == np.uint8
    assert np.array_equal(crop, image)


def test_agrees_with_opencv_where_nothing_shrinks(pinhole):
    """OpenCV's warpPerspective, given the homography, makes the same picture."""
    smooth = cv2.GaussianBlur(_noise(480, 640), (0, 0), 4)
    crop = make_crop_camera(np.array([0.2, -0.15, 1]), 560.0, 128, np.array([0.2, 1, 0.1]))
    H = np.linalg.inv(uncrop_homography(pinhole.K, crop.K_crop, crop.R_crop_camera))
    judge = cv2.warpPerspective(smooth, H, (128, 128), flags=cv2.INTER_LINEAR)
    difference = np.abs(extract_crop(smooth, pinhole, crop).astype(int) - judge)
    assert difference.max() <= 2  # both round the source position to 1/32 pixel


@pytest.mark.parametrize("zoom", [2.0, 1.0, 0.4, 0.2])
def test_a_disc_lands_where_its_direction_projects(camera, zoom):
    """Through any lens and at any zoom, to a small part of a crop pixel."""
    direction = np.array([0.22, -0.12, 1.0])
    u, v = camera.project(direction)
    image = np.zeros((480 * 8, 640 * 8, 3), np.uint8)
    middle = np.round(((np.array([u, v]) + 0.5) * 8 - 0.5) * 64).astype(int)
    radius = 64 * 8 * 6
    cv2.circle(image, (int(middle[0]), int(middle[1])), radius, (255, 255, 255), -1, shift=6)
    image = cv2.resize(image, (640, 480), interpolation=cv2.INTER_AREA)
    crop = make_crop_camera(np.array([0.18, -0.1, 1]), 500 * zoom, 128)
    seen = extract_crop(image, camera, crop)[..., 0].astype(float)
    grid = np.indices(seen.shape)[::-1]
    centroid = (grid * seen).sum(axis=(1, 2)) / seen.sum()
    expected = project((crop.R_crop_camera @ direction)[None], crop.K_crop)[0]
    # A circle in the raw image is no circle through a lens; its centroid moves by up to 0.05 px.
    assert np.allclose(centroid, expected, atol=0.06 * max(zoom, 1))


@pytest.mark.parametrize("focal", [40.0, 90.0, 170.0, 560.0, 900.0])
@pytest.mark.parametrize("center", [(0, 0, 1), (0.5, -0.3, 1), (-0.9, 0.2, 1), (1, 0, 0.05)])
def test_homography_and_maps_agree(monkeypatch, pinhole, focal, center):
    """The fast way of a pinhole camera and that of every lens, also at the image's border."""
    image = cv2.GaussianBlur(_noise(480, 640), (0, 0), 3)
    crop = make_crop_camera(np.array(center, float), focal, 64, np.array([0.3, 1, 0.1]))
    fast = extract_crop(image, pinhole, crop).astype(int)
    monkeypatch.setattr(CameraModel, "is_pinhole", False)
    assert np.abs(fast - extract_crop(image, pinhole, crop)).max() <= 2


def test_outside_is_black(pinhole):
    white = np.full((480, 640, 3), 255, np.uint8)
    half = extract_crop(white, pinhole, make_crop_camera(pinhole.rays([639.5, 240]), 500.0, 128))
    assert half[:, :60].min() == 255
    assert half[:, 68:].max() == 0
    nothing = extract_crop(white, pinhole, make_crop_camera(np.array([1.0, 0, 0]), 900.0, 64))
    assert nothing.shape == (64, 64, 3)
    assert nothing.max() == 0


def test_outside_is_black_when_blocks_are_averaged(pinhole):
    white = np.full((480, 640, 3), 255, np.uint8)
    crop = make_crop_camera(AHEAD, 50.0, 128)  # 10 image pixels per crop pixel
    seen = extract_crop(white, pinhole, crop)[..., 0] > 127
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    assert len(columns) == pytest.approx(64, abs=1)
    assert len(rows) == pytest.approx(47.5, abs=1)


@pytest.mark.parametrize("shrink", [2, 3.4, 5])
def test_shrinking_does_not_alias(pinhole, shrink):
    """Noise averages out as it would with an ideal box filter."""
    image = _noise(480, 640)
    crop = make_crop_camera(AHEAD, 500.0 / shrink, 64)
    seen = extract_crop(image, pinhole, crop)[16:48, 16:48]
    ideal = 255 / np.sqrt(12) / shrink
    assert seen.std() < 1.35 * ideal
    assert seen.mean() == pytest.approx(127.5, abs=3)


@pytest.mark.parametrize("shrink", [1.7, 2.6, 4.1, 5.9, 7.9, 12.0])
def test_a_pixel_is_the_mean_over_its_area(shrink):
    """Edges come out as with 16 x 16 samples a pixel; aliasing or blur would cost 10 dB."""
    camera = CameraModel(np.array([[500.0, 0, 399.5], [0, 500, 399.5], [0, 0, 1]]), 800, 800)
    cells = np.random.default_rng(0).integers(0, 256, (25, 25, 3), np.uint8)
    image = cv2.resize(cells, (800, 800), interpolation=cv2.INTER_NEAREST)
    crop = make_crop_camera(np.array([0.03, -0.02, 1]), 500 / shrink, 64, np.array([0.3, 1, 0]))
    fine = CropCamera(np.diag([16.0, 16, 1]) @ crop.K_crop, crop.R_crop_camera, 64 * 16)
    fine.K_crop[:2, 2] += 7.5
    H = np.linalg.inv(uncrop_homography(camera.K, fine.K_crop, fine.R_crop_camera))
    ideal = cv2.resize(
        cv2.warpPerspective(image, H, (1024, 1024), flags=cv2.INTER_LINEAR),
        (64, 64),
        interpolation=cv2.INTER_AREA,
    )
    error = extract_crop(image, camera, crop).astype(float) - ideal
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 33


def test_grey_image_is_cropped_too(pinhole):
    crop = extract_crop(_noise(480, 640)[..., :1], pinhole, make_crop_camera(AHEAD, 90.0, 32))
    assert crop.shape[:2] == (32, 32)
