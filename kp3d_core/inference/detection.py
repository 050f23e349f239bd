"""Result of looking at one object in one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.crop import CropCamera
from kp3d_core.inference.acceptance import Evidence
from kp3d_core.inference.growth import misfit
from kp3d_core.inference.view import View

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Detection:
    """Keypoints and pose of one object; use it only if `accepted`."""

    keypoints_camera: FloatArray
    """Shape (N, 3) in the camera's optical frame [m, or model units if not `metric`]."""
    keypoints_uv: FloatArray
    """Pixels in the full, raw image, shape (N, 2)."""
    own_covariance: FloatArray
    """Covariance of the error that each keypoint makes on its own, shape (N, 3, 3)."""
    common_errors: FloatArray
    """Displacements of all keypoints by one standard deviation of each shared error, (M, N, 3)."""
    growth: float
    """Factor by which the difficulty of the view has raised the standard deviations of
    `own_covariance`, and with them those of the pose."""
    score: FloatArray
    """0..1 per keypoint, shape (N,)."""
    T_camera_object: FloatArray
    """Absolute pose from the canonical keypoints, shape (4, 4)."""
    pose_covariance: FloatArray
    """Shape (6, 6), order x, y, z, rotX, rotY, rotZ about the camera frame's fixed axes. About the
    axis of a round object nothing is known: `geometry.symmetry.UNKNOWN_VARIANCE`."""
    orientation_score: float
    """Probability, 0.5..1, that front and back of the object are not confused; 1 if they are the
    same."""
    scale: float
    """Apparent size in the crop relative to the training views."""
    scale_std: float
    """Standard deviation of its natural logarithm."""
    metric: bool
    """Whether lengths are in metres; otherwise they are in model units."""
    unit_m: float
    """Metres per model unit; 1 if not `metric`."""
    crop: CropCamera
    """The virtual camera that the network looked through."""
    crop_image: NDArray[np.uint8]
    """What it saw, RGB, shape (S, S, 3)."""
    residual: float
    """Weighted RMS distance of the keypoints from the fitted canonical ones [model units]."""
    next_view: View
    """The view that would have shown the object centred and in the training size."""
    runs: int
    """Engine calls that led here."""
    evidence: Evidence
    """What tells how likely it is wrong."""
    wrong_probability: float
    """That the orientation is off by more than 30 degrees, or that this is no such object."""
    problems: tuple[str, ...]
    """Why the result must not be trusted; empty if there is no reason."""

    @property
    def keypoint_covariance(self) -> FloatArray:
        """Covariance of `keypoints_camera`, shape (N, 3, 3), shared errors (distance) included."""
        return self.own_covariance + np.einsum(
            "mni,mnj->nij", self.common_errors, self.common_errors
        )

    @property
    def misfit(self) -> float:
        """How little this looks like the object: distance from its shape, and lack of certainty.

        Together they tell cars from patterns of coloured blocks three times better than the
        residual alone (share of blocks under the 99.5 % limit of cars: 22 % instead of 72 %).
        """
        return misfit(self.residual, self.score)

    @property
    def accepted(self) -> bool:
        """Whether the result may be used."""
        return not self.problems
