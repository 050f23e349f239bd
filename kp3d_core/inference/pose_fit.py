"""Weighted rigid fit of two keypoint sets with the covariance of the pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.procrustes import weighted_procrustes
from kp3d_core.geometry.rotation import make_transform, skew
from kp3d_core.inference.model import Calibration

FloatArray = NDArray[np.float64]

_SMALLEST_EIGENVALUE = 1e-4
"""Relative to the largest: rotations about the axis of (nearly) collinear points become very
uncertain, not infinitely so."""


@dataclass(frozen=True, eq=False)
class PoseFit:
    """Pose `T_target_source`, its uncertainty and how well it explains the points."""

    T: FloatArray
    """Shape (4, 4)."""
    covariance: FloatArray
    """Shape (6, 6), order x, y, z, rotX, rotY, rotZ about the fixed axes of the target frame."""
    residual: float
    """Weighted root mean square distance between fitted and given points."""


def fit_pose(
    source: FloatArray,
    target: FloatArray,
    source_covariance: FloatArray,
    target_covariance: FloatArray,
    *,
    source_common: FloatArray | None = None,
    target_common: FloatArray | None = None,
) -> PoseFit:
    """Rigid motion from source to target points, each weighted by its own precision.

    The weight of a pair is the inverse of its mean variance; directions are weighted alike, which
    keeps the solution closed.

    Args:
        source: shape (N, 3), at least 3 points.
        target: the same points in the target frame and the same unit, shape (N, 3).
        source_covariance: per point, in the source frame, shape (N, 3, 3).
        target_covariance: per point, in the target frame, shape (N, 3, 3).
        source_common: displacements of all source points by one standard deviation of each error
            that they share, shape (M, N, 3).
        target_common: the same of the target points.
    """
    variance = np.trace(source_covariance + target_covariance, axis1=1, axis2=2) / 3
    weights = 1 / np.maximum(variance, 1e-6 * max(float(variance.max()), 1e-12))
    weights /= weights.sum()
    R, t = weighted_procrustes(source, target, weights)
    J = procrustes_jacobian(source, target, weights, R)
    error_covariance = target_covariance + R @ source_covariance @ R.T
    covariance = np.einsum("nij,njk,nlk->il", J, error_covariance, J)
    for common in (target_common, None if source_common is None else -source_common @ R.T):
        if common is not None:
            modes = np.einsum("nij,mnj->mi", J, common)
            covariance += modes.T @ modes
    residuals = source @ R.T + t - target
    rms = float(np.sqrt(np.sum(weights * np.sum(residuals**2, axis=1))))
    return PoseFit(make_transform(R, t), covariance, rms)


def calibrate_pose_covariance(covariance: FloatArray, calibration: Calibration) -> FloatArray:
    """Covariance of a pose whose keypoints err together, not each on its own.

    Args:
        covariance: propagated from keypoints, shape (6, 6).
        calibration: of the model; its factors were measured on absolute poses of held-out views.
    """
    factors = np.repeat([calibration.translation_scale, calibration.rotation_scale], 3)
    return factors[:, None] * covariance * factors


def procrustes_jacobian(
    source: FloatArray, target: FloatArray, weights: FloatArray, R: FloatArray
) -> FloatArray:
    """Derivative of the pose with respect to each target point, shape (N, 6, 3).

    The pose moves by (dt, omega): the source frame's origin by dt, the rotation to exp(omega) R,
    both in the fixed axes of the target frame. With centred points q = R (source - mean) and
    b = target - mean, the optimum makes S = sum w b q^T symmetric. Turning R by omega and moving
    the targets by e keeps it symmetric if

        (tr(S) I - S) omega = sum w q x e,

    and t = mean(target) - R mean(source) gives dt = sum w e - omega x (R mean(source)). An error of
    a source point acts as -R times itself on its target.

    Reference: the condition is that of Umeyama, PAMI 13(4), 1991; compare Haralick, "Propagating
    covariance in computer vision", 1996, for the method. Derived here; tested by Monte Carlo.
    """
    source_mean, target_mean = weights @ source, weights @ target
    q = (source - source_mean) @ R.T
    S = (weights[:, None] * (target - target_mean)).T @ q
    S = (S + S.T) / 2
    values, vectors = np.linalg.eigh(np.trace(S) * np.eye(3) - S)
    values = np.maximum(values, _SMALLEST_EIGENVALUE * max(float(values[-1]), 1e-12))
    inverse = (vectors / values) @ vectors.T
    omega = inverse @ (weights[:, None, None] * skew(q))
    dt = weights[:, None, None] * np.eye(3) + skew(R @ source_mean) @ omega
    return np.concatenate([dt, omega], axis=1)
