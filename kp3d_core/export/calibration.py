"""Honest covariances: factors that make predicted spreads match errors on held-out views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.metrics import instance_keypoints
from kp3d_core.evaluation.predictions import Predictions, over_black
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.inference import CameraModel, Detector, Model, View
from kp3d_core.inference.engines import Engine
from kp3d_core.inference.model import Calibration

FloatArray = NDArray[np.float64]

_OUTLIER_DEG = 45.0
"""Larger rotation errors are wrong orientations, which no Gaussian describes; the orientation score
speaks of those."""


def calibrate_keypoints(predictions: Predictions, views: ViewSet) -> Calibration:
    """Scales and floors of keypoint covariances, and the spread of the apparent size.

    A keypoint is discovered, so its true place on an object is taken to be the mean of its
    predictions over all views of that object. Squared errors are then fitted by
    `scale^2 * heatmap variance + floor^2`.
    """
    used = predictions.flag_correct
    some = used.any(1)
    truth_object = instance_keypoints(predictions.keypoints_object, used)[:, None]
    T = views.T_camera_object[some].astype(np.float64)
    truth_camera = transform_points(T, truth_object)
    uv_error = project(truth_camera, views.K[some].astype(np.float64))
    uv_error = (predictions.keypoints_uv[some] - uv_error)[used[some]]
    depth_error = predictions.depth_offset[some] - (truth_camera[..., 2] - T[..., None, 2, 3])
    covariance = predictions.covariance[some][used[some]]
    uv_scale, uv_floor = _fit_variance(
        np.concatenate([covariance[..., 0, 0].ravel(), covariance[..., 1, 1].ravel()]),
        np.concatenate([uv_error[..., 0].ravel(), uv_error[..., 1].ravel()]),
    )
    depth_scale, depth_floor = _fit_variance(
        covariance[..., 2, 2].ravel(), depth_error[used[some]].ravel()
    )
    log_scale_error = np.log(predictions.scale / predictions.scale_true)[used]
    return Calibration(
        keypoint_uv_scale=uv_scale,
        keypoint_uv_floor_px=uv_floor,
        keypoint_depth_scale=depth_scale,
        keypoint_depth_floor=depth_floor,
        scale_std=float(log_scale_error.std()),
    )


def _fit_variance(variance: FloatArray, error: FloatArray) -> tuple[float, float]:
    """Non-negative (scale, floor) with mean(error^2) = scale^2 * variance + floor^2.

    Fitted to the mean squared error in ten bins of equally many samples, so that few large errors
    do not decide; then scaled so that the total agrees.
    """
    order = np.argsort(variance)
    bins = np.array_split(order, 10)
    x = np.array([variance[b].mean() for b in bins])
    y = np.array([(error[b] ** 2).mean() for b in bins])
    weight = 1 / np.maximum(y, 1e-12)  # relative errors count alike in all bins
    A = np.stack([x, np.ones_like(x)], axis=1)
    slope, offset = np.linalg.lstsq(A * weight[:, None], y * weight, rcond=None)[0]
    if slope < 0:
        slope, offset = 0.0, 1.0
    elif offset < 0:
        slope, offset = 1.0, 0.0
    factor = (error**2).mean() / (slope * variance + offset).mean()
    return float(np.sqrt(slope * factor)), float(np.sqrt(offset * factor))


def calibrate_pose(model: Model, engine: Engine, views: ViewSet) -> Calibration:
    """Factors of the pose covariance, and the limit of the misfit.

    Errors of keypoints are not independent of each other, hence the factors.

    Chosen so that the mean normalised squared error (NEES) over held-out views is 3 for rotation
    and 3 for translation, as for a correct Gaussian.
    """
    rotation_nees, translation_nees, misfits = [], [], []
    detector = Detector(model, engine)
    for i in range(len(views.rgba)):
        for image, K, T in zip(
            over_black(views, i),
            views.K[i],
            views.T_camera_object[i].astype(np.float64),
            strict=True,
        ):
            pinhole = CameraModel(K.astype(np.float64), views.size, views.size)
            detection = detector.track(image, pinhole, View((0.0, 0.0, 1.0), float(K[0, 0])))
            R_error = detection.T_camera_object[:3, :3] @ T[:3, :3].T
            omega = _rotation_vector(R_error)
            if np.degrees(np.linalg.norm(omega)) > _OUTLIER_DEG:
                continue
            misfits.append(detection.misfit)
            t_error = detection.T_camera_object[:3, 3] - T[:3, 3]
            covariance = detection.pose_covariance
            rotation_nees.append(omega @ np.linalg.solve(covariance[3:, 3:], omega))
            translation_nees.append(t_error @ np.linalg.solve(covariance[:3, :3], t_error))
    return replace(
        model.calibration,
        rotation_scale=model.calibration.rotation_scale
        * float(np.sqrt(np.mean(rotation_nees) / 3)),
        translation_scale=model.calibration.translation_scale
        * float(np.sqrt(np.mean(translation_nees) / 3)),
        misfit_limit=float(np.percentile(misfits, 99.5)),
    )


def _rotation_vector(R: FloatArray) -> FloatArray:
    """Axis times angle of a rotation under 180 degrees [rad]."""
    a = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]]) / 2
    sine = np.linalg.norm(a)
    angle = np.arctan2(sine, (np.trace(R) - 1) / 2)
    return a * (angle / sine if sine > 1e-12 else 1.0)
