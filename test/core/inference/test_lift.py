"""The metric lift: the dolly zoom, exact inversion of a projection, and error propagation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_model import CANONICAL

from kp3d_core.geometry.camera import project
from kp3d_core.geometry.crop import CropCamera, make_crop_camera
from kp3d_core.inference import Calibration, TrainingCamera
from kp3d_core.inference.lift import calibrate_covariance, lift_keypoints, object_distance

TRAINING = TrainingCamera(focal_px=64 / math.tan(math.radians(2.5)), distance=30.0)


def _seen(T_points: np.ndarray, distance: float, crop: CropCamera) -> tuple[np.ndarray, ...]:
    """What a perfect network says about points in the crop's frame whose origin is at z."""
    uv = project(T_points, crop.K_crop)
    scale = crop.K_crop[0, 0] / distance / (TRAINING.focal_px / TRAINING.distance)
    return uv, T_points[:, 2] - distance + TRAINING.distance, scale


def _case(unit_m: float) -> tuple[np.ndarray, CropCamera, np.ndarray, np.ndarray, float]:
    """Points in the camera frame [m], and what the network says about them."""
    crop = make_crop_camera(np.array([0.3, -0.2, 1]), 420.0, 128, np.array([0.2, 1, 0]))
    R = Rotation.from_rotvec([0.4, -1.0, 0.3]).as_matrix()
    in_crop = CANONICAL @ R.T + [0.1, -0.05, 7.3]  # model units
    uv, depth, scale = _seen(in_crop, 7.3, crop)
    return unit_m * in_crop @ crop.R_crop_camera, crop, uv, depth, scale


def test_training_camera_is_the_fixed_point():
    assert object_distance(1.0, TRAINING.focal_px, TRAINING) == TRAINING.distance


@pytest.mark.parametrize("factor", [0.2, 0.5, 3.0])
def test_dolly_zoom(factor):
    assert object_distance(1.0, factor * TRAINING.focal_px, TRAINING) == pytest.approx(30 * factor)
    assert object_distance(factor, TRAINING.focal_px, TRAINING) == pytest.approx(30 / factor)


@pytest.mark.parametrize("unit_m", [1.0, 0.15, 2.2])
def test_perfect_answers_give_the_true_points(unit_m):
    truth, crop, uv, depth, scale = _case(unit_m)
    lifted = lift_keypoints(uv, depth, np.zeros((6, 3, 3)), scale, crop, TRAINING, unit_m=unit_m)
    assert np.allclose(lifted.points_camera, truth, atol=1e-9)
    assert np.allclose(lifted.covariance, 0)
    assert np.allclose(lifted.common, 0)


def test_covariance_is_the_derivative_of_the_lift():
    _, crop, uv, depth, scale = _case(0.8)

    def points(uv, depth, scale, unit_m=0.8):
        zero = np.zeros((6, 3, 3))
        return lift_keypoints(uv, depth, zero, scale, crop, TRAINING, unit_m=unit_m).points_camera

    h = 1e-6
    columns = [
        (points(uv + [h, 0], depth, scale) - points(uv - [h, 0], depth, scale)) / (2 * h),
        (points(uv + [0, h], depth, scale) - points(uv - [0, h], depth, scale)) / (2 * h),
        (points(uv, depth + h, scale) - points(uv, depth - h, scale)) / (2 * h),
    ]
    J = np.stack(columns, axis=-1)
    root = np.random.default_rng(0).normal(size=(6, 3, 3))
    covariance = root @ root.transpose(0, 2, 1)
    lifted = lift_keypoints(
        uv, depth, covariance, scale, crop, TRAINING,
        scale_std=0.03, unit_m=0.8, unit_relative_std=0.05,
    )  # fmt: skip
    assert np.allclose(lifted.covariance, J @ covariance @ J.transpose(0, 2, 1), rtol=1e-6)
    by_scale = points(uv, depth, scale * math.exp(h)) - points(uv, depth, scale * math.exp(-h))
    assert np.allclose(lifted.common[0], 0.03 * by_scale / (2 * h), atol=1e-8)
    by_unit = points(uv, depth, scale, 0.8 * math.exp(h)) - points(uv, depth, scale, 0.8)
    assert np.allclose(lifted.common[1], 0.05 * by_unit / h, atol=1e-5)


def test_calibration_scales_standard_deviations_and_adds_floors():
    calibration = Calibration(
        keypoint_uv_scale=2.0,
        keypoint_uv_floor_px=0.5,
        keypoint_depth_scale=3.0,
        keypoint_depth_floor=0.1,
    )
    covariance = np.array([[[1.0, 0.2, 0.1], [0.2, 2.0, 0.0], [0.1, 0.0, 0.04]]])
    expected = [[4.25, 0.8, 0.6], [0.8, 8.25, 0], [0.6, 0, 0.37]]
    assert np.allclose(calibrate_covariance(covariance, calibration)[0], expected)
