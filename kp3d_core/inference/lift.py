"""From the network's outputs in a crop to keypoints in the camera frame, with their covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.camera import unproject
from kp3d_core.geometry.crop import CropCamera
from kp3d_core.inference.growth import Growth
from kp3d_core.inference.model import Calibration, TrainingCamera

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LiftedKeypoints:
    """Keypoints in the camera frame; errors that all share are kept apart from their own ones."""

    points_camera: FloatArray
    """Shape (N, 3) [m, or model units without a known size]."""
    covariance: FloatArray
    """Error that each keypoint makes on its own, shape (N, 3, 3)."""
    common: FloatArray
    """Displacements of all keypoints by one standard deviation of each shared error, (2, N, 3):
    the apparent size, then the unit of length."""

    def grown(self, growth: Growth) -> LiftedKeypoints:
        """The same keypoints with the errors of a view that is harder or easier."""
        return replace(
            self,
            covariance=growth.own**2 * self.covariance,
            common=growth.common[:, None, None] * self.common,
        )

    def resized(self, log_size: float, scale_std: float, variance: float) -> LiftedKeypoints:
        """The same keypoints with another apparent size, known better or worse.

        Args:
            log_size: by how much the logarithm of the size grows.
            scale_std: its standard deviation so far.
            variance: factor on its square.
        """
        if scale_std <= 0:
            return self
        moved = self.points_camera + log_size / scale_std * self.common[0]
        factors = np.array([math.sqrt(variance), 1.0])
        return replace(self, points_camera=moved, common=factors[:, None, None] * self.common)


def calibrate_covariance(covariance: FloatArray, calibration: Calibration) -> FloatArray:
    """Covariance of (u, v, depth) from heatmap moments.

    A heatmap's width says where the network is unsure, but not by how much it errs; factors and
    floors that were measured on held-out views make standard deviations of it.
    """
    scale = np.array([calibration.keypoint_uv_scale] * 2 + [calibration.keypoint_depth_scale])
    floor = np.array([calibration.keypoint_uv_floor_px] * 2 + [calibration.keypoint_depth_floor])
    return scale[:, None] * covariance * scale + floor**2 * np.eye(3)


def object_distance(
    scale: float | FloatArray, focal_px: float | FloatArray, training: TrainingCamera
) -> float | FloatArray:
    """Distance to the object's origin [model units] from its apparent size.

    A camera with `k` times the focal length shows the object equally large from `k` times the
    distance ("dolly zoom"), and half as large from twice the distance.

    Args:
        scale: apparent size in the crop relative to the training view.
        focal_px: focal length of the crop [px].
        training: camera of the training views at the same image size.
    """
    return focal_px / training.focal_px * training.distance / scale


def lift_keypoints(
    keypoints_uv: FloatArray,
    keypoints_depth: FloatArray,
    uv_depth_covariance: FloatArray,
    scale: float,
    crop: CropCamera,
    training: TrainingCamera,
    *,
    scale_std: float = 0.0,
    unit_m: float = 1.0,
    unit_relative_std: float = 0.0,
) -> LiftedKeypoints:
    """Keypoints in the camera frame.

    Args:
        keypoints_uv: crop pixels, shape (N, 2).
        keypoints_depth: depth in the training camera [model units], shape (N,).
        uv_depth_covariance: calibrated covariance of those three numbers, shape (N, 3, 3).
        scale: apparent size in the crop relative to the training view.
        crop: the virtual camera of the crop.
        training: the camera of the training views.
        scale_std: standard deviation of ln(scale).
        unit_m: metres per model unit; 1 leaves model units.
        unit_relative_std: standard deviation of `unit_m`, divided by it.
    """
    distance = object_distance(scale, float(crop.K_crop[0, 0]), training)
    depth = distance + keypoints_depth - training.distance
    rays = unproject(keypoints_uv, np.ones_like(depth), crop.K_crop)
    points = unit_m * depth[:, None] * rays

    J = np.zeros((len(depth), 3, 3))
    J[:, 0, 0] = depth / crop.K_crop[0, 0]
    J[:, 1, 1] = depth / crop.K_crop[1, 1]
    J[:, :, 2] = rays
    J *= unit_m
    covariance = J @ uv_depth_covariance @ J.transpose(0, 2, 1)
    # d(distance) = -distance * d ln(scale) moves every keypoint along its ray.
    common = np.stack([-unit_m * distance * scale_std * rays, unit_relative_std * points])

    R = crop.R_crop_camera  # points are rows: x_camera = R^T x_crop is x_crop_row @ R
    return LiftedKeypoints(points @ R, R.T @ covariance @ R, common @ R)
