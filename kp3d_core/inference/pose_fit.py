"""Weighted rigid fit of two keypoint sets with the covariance of the pose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.procrustes import weighted_procrustes
from kp3d_core.geometry.rotation import make_transform, skew
from kp3d_core.geometry.symmetry import free_rotation
from kp3d_core.inference.lift import LiftedKeypoints
from kp3d_core.inference.model import KeypointLayout

FloatArray = NDArray[np.float64]

_SMALLEST_EIGENVALUE = 1e-4
"""Relative to the largest: rotations about the axis of (nearly) collinear points become very
uncertain, not infinitely so."""


class Alignment(NamedTuple):
    """Pose `T_target_source` of a weighted fit, without its uncertainty."""

    T: FloatArray
    """Shape (4, 4)."""
    weights: FloatArray
    """Of the points, shape (N,); they sum to 1."""
    residual: float
    """Weighted root mean square distance between fitted and given points."""


@dataclass(frozen=True, eq=False)
class PoseFit:
    """Pose `T_target_source`, its uncertainty and how well it explains the points."""

    T: FloatArray
    """Shape (4, 4)."""
    own_covariance: FloatArray
    """From the error that each point makes on its own, shape (6, 6), order x, y, z, rotX, rotY,
    rotZ about the fixed axes of the target frame."""
    common: FloatArray
    """Pose error by one standard deviation of each error that the target points share, (M, 6)."""
    source_common: FloatArray
    """The same of the source points."""
    residual: float
    """Weighted root mean square distance between fitted and given points."""
    free_axis: FloatArray | None = None
    """Axis (3,) in the target frame about which the rotation tells nothing; None if there is none:
    of a round object, its z axis."""

    @property
    def own_covariance_seen(self) -> FloatArray:
        """`own_covariance` of what the points tell, (6, 6)."""
        if self.free_axis is None:
            return self.own_covariance
        return free_rotation(self.own_covariance, self.free_axis)

    def covariance(self, translation_scale: float = 1.0, rotation_scale: float = 1.0) -> FloatArray:
        """Covariance of the pose, shape (6, 6), order x, y, z, rotX, rotY, rotZ.

        Args:
            translation_scale: factor on standard deviations that come from the points' own errors;
                measured, because neighbouring points do not err independently.
            rotation_scale: the same of the rotation.
        """
        factors = np.array(3 * [translation_scale] + 3 * [rotation_scale])
        modes = np.concatenate([self.common, self.source_common])
        covariance = factors[:, None] * self.own_covariance * factors + modes.T @ modes
        covariance[:3, :3] += _turned_offsets(self.source_common[:, :3], covariance[3:, 3:])
        return covariance if self.free_axis is None else free_rotation(covariance, self.free_axis)


def fit_pose(
    source: FloatArray,
    target: FloatArray,
    source_covariance: FloatArray,
    target_covariance: FloatArray,
    *,
    source_common: FloatArray | None = None,
    target_common: FloatArray | None = None,
    alignment: Alignment | None = None,
    free_axis: FloatArray | None = None,
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
        alignment: the result for the same points and weights, if it is known already.
        free_axis: in the source frame, see `PoseFit.free_axis`.
    """
    if alignment is None:
        alignment = _align(source, target, source_covariance, target_covariance)
    R = alignment.T[:3, :3]
    J = procrustes_jacobian(source, target, alignment.weights, R)
    error_covariance = target_covariance + R @ source_covariance @ R.T
    modes = [
        np.zeros((0, 6)) if common is None else (J @ common[..., None]).sum(axis=1)[..., 0]
        for common in (target_common, None if source_common is None else -source_common @ R.T)
    ]
    return PoseFit(
        alignment.T,
        (J @ error_covariance @ J.transpose(0, 2, 1)).sum(axis=0),
        modes[0],
        modes[1],
        alignment.residual,
        None if free_axis is None else R @ free_axis,
    )


def fit_layout(
    layout: KeypointLayout,
    lifted: LiftedKeypoints,
    unit_m: float,
    growth: float,
    alignment: Alignment | None = None,
) -> PoseFit:
    """Pose of the mean object; its spread over instances counts as error of its keypoints.

    The one place where absolute poses and their covariances come from: those that a detector tells,
    those with the scale of a depth image, and those that the calibration compares with the truth.
    The spread grows with the difficulty of a view as the keypoints' own errors do: the growth was
    fitted to errors of whole poses. Measured on test objects by the paper's camera, the NEES of
    the rotation in the easiest, middle and hardest third of the views is 1.9, 2.5, 3.1 of cars and
    3 is right; were the spread kept, 1.7, 2.3, 3.2.

    Args:
        layout: canonical keypoints of a model.
        lifted: the keypoints of a view, in units of `unit_m`, grown with its difficulty.
        unit_m: metres per model unit; 1 if the keypoints are in model units.
        growth: by which their own standard deviations have grown, see `Growth.own`.
        alignment: of `align_layout`, if it is known already: growth does not change it.
    """
    return fit_pose(
        layout.canonical * unit_m,
        lifted.points_camera,
        _spread(layout, unit_m * growth),
        lifted.covariance,
        target_common=lifted.common,
        alignment=alignment,
        free_axis=free_axis(layout.symmetry),
    )


def free_axis(symmetry: str) -> FloatArray | None:
    """Axis (3,) of an object about which it has no orientation; None if it has one about all."""
    return np.array([0.0, 0.0, 1.0]) if symmetry == "full" else None


def align_layout(layout: KeypointLayout, lifted: LiftedKeypoints, unit_m: float) -> Alignment:
    """Pose and residual as of `fit_layout`, without covariances: in a third of the time."""
    return _align(
        layout.canonical * unit_m, lifted.points_camera, _spread(layout, unit_m), lifted.covariance
    )


def _spread(layout: KeypointLayout, factor: float) -> FloatArray:
    """Covariances of the canonical keypoints over instances, times factor^2, (N, 3, 3)."""
    spread = np.zeros((layout.count, 3, 3))
    spread[:, [0, 1, 2], [0, 1, 2]] = (layout.spread * factor) ** 2
    return spread


def _align(
    source: FloatArray,
    target: FloatArray,
    source_covariance: FloatArray,
    target_covariance: FloatArray,
) -> Alignment:
    variance = np.einsum("nii->n", source_covariance + target_covariance) / 3
    weights = 1 / np.maximum(variance, 1e-6 * max(float(variance.max()), 1e-12))
    weights /= weights.sum()
    R, t = weighted_procrustes(source, target, weights)
    residuals = source @ R.T + t - target
    rms = float(np.sqrt(np.sum(weights * np.sum(residuals**2, axis=1))))
    return Alignment(make_transform(R, t), weights, rms)


def _turned_offsets(offsets: FloatArray, rotation_covariance: FloatArray) -> FloatArray:
    """Covariance (3, 3) of sum_k a_k omega x c_k, with a_k of variance 1 and independent of omega.

    An object whose distance is wrong by c is carried along by the motion, so an error omega of the
    motion's rotation moves it sideways by omega x c. This is of second order, but not small: seen
    from afar, c is ten times the error in the other directions.
    """
    cross = skew(offsets)
    return np.asarray((cross @ rotation_covariance @ cross.transpose(0, 2, 1)).sum(axis=0))


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
    # OpenCV's, for the reason that `kp3d_core.geometry.arrays.svd` gives; eigenvectors are rows.
    _, values, vectors = cv2.eigen(np.trace(S) * np.eye(3) - S)
    values = np.maximum(values, _SMALLEST_EIGENVALUE * max(float(values[0, 0]), 1e-12))
    inverse = (vectors / values).T @ vectors
    omega = inverse @ (weights[:, None, None] * skew(q))
    dt = weights[:, None, None] * np.eye(3) + skew(R @ source_mean) @ omega
    return np.concatenate([dt, omega], axis=1)
