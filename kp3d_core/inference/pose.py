"""Motion of an object since a reference view, from its keypoints alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.rotation import invert_transform, transform_points
from kp3d_core.geometry.symmetry import nearest_pose
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.model import Calibration
from kp3d_core.inference.pose_fit import PoseFit, fit_pose, free_axis

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RelativeMotion:
    """Pose of the object now in the frame of its reference pose."""

    T_reference_object: FloatArray
    """Shape (4, 4); identity if nothing moved. Of a round object, the motion without any turn about
    its own axis, which nobody sees."""
    covariance: FloatArray
    """Shape (6, 6), order x, y, z, rotX, rotY, rotZ about the reference frame's fixed axes."""
    residual: float
    """Weighted RMS distance after the fit [unit of the detections]."""


def steady_motion(T_reference_object: FloatArray, symmetry: str) -> FloatArray:
    """Of motions that look alike, the one that turns a round object least: not about its axis.

    The two that are equally right of a two-fold object are told apart by following it.
    """
    return nearest_pose(T_reference_object, np.eye(3), symmetry if symmetry == "full" else "none")


class RelativePose:
    """Rotation and translation since a reference detection, by Procrustes as in the paper.

    Needs no canonical keypoints: an error that the keypoints of this instance have in every view
    cancels. The reference frame is the object's estimated frame when the reference was taken, and
    counts as exact.
    """

    def __init__(
        self,
        reference: Detection,
        calibration: Calibration | None = None,
        symmetry: str = "none",
    ) -> None:
        """Remember the reference.

        Args:
            reference: the view that motion is counted from.
            calibration: of the model, for covariances; taken as exact if None.
            symmetry: of the object about z.
        """
        self._symmetry = symmetry
        self._calibration = calibration or Calibration()
        self.reference = reference
        self.T_camera_reference = reference.T_camera_object
        """Pose of the object when the reference was taken, shape (4, 4)."""
        self._T_reference_camera = invert_transform(reference.T_camera_object)
        self._source = transform_points(self._T_reference_camera, reference.keypoints_camera)
        self._source_covariance = self._rotate(reference.own_covariance)

    def update(self, current: Detection) -> RelativeMotion:
        """Motion from the reference to a detection by the same model, in the same unit."""
        fit = self.fit(current)
        covariance = fit.covariance(
            self._calibration.relative_translation_scale, self._calibration.relative_rotation_scale
        )
        return RelativeMotion(steady_motion(fit.T, self._symmetry), covariance, fit.residual)

    def fit(self, current: Detection) -> PoseFit:
        """The same motion, its errors not calibrated yet."""
        if len(current.keypoints_camera) != len(self._source) or (
            current.metric != self.reference.metric
        ):
            raise ValueError(
                f"Detections must have the same keypoints and unit, got "
                f"{len(self._source)} and {len(current.keypoints_camera)} keypoints, metric "
                f"{self.reference.metric} and {current.metric}. Take a new reference."
            )
        # Both point sets in the reference frame: their motion is T_reference_object itself.
        target = transform_points(self._T_reference_camera, current.keypoints_camera)
        R = self._T_reference_camera[:3, :3]
        return fit_pose(
            self._source,
            target,
            self._source_covariance,
            self._rotate(current.own_covariance),
            source_common=self.reference.common_errors @ R.T,
            target_common=current.common_errors @ R.T,
            free_axis=free_axis(self._symmetry),
        )

    def _rotate(self, covariance: FloatArray) -> FloatArray:
        """Covariances in the reference frame of those in the camera frame."""
        R = self._T_reference_camera[:3, :3]
        return R @ covariance @ R.T
