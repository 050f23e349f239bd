"""Standard deviations that grow with the difficulty of a view.

One figure for all views is too small for hard ones and too large for easy ones. What is measurable
at run time without the truth tells them apart; how much it matters was fitted on held-out views.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference.model import Calibration, KeypointLayout, ViewTraits

FloatArray = NDArray[np.float64]

DOUBT_WEIGHT = 0.35
"""Model units of residual that a score of 0 is worth."""
_MAX_LOG_GROWTH = math.log(4.0)
"""Bound of a growth in both directions: a view unlike any that was measured says no more."""
_END_ON = 0.1
"""Length in the image of an axis of length 1 that says nothing of the roll any more."""
_MAX_CERTAINTY = 8.0
"""Odds of 3,000 to 1: what is beyond tells the size of the network's output, not of its errors."""


@dataclass(frozen=True)
class Growth:
    """Factors on standard deviations in one view."""

    own: float
    """Of the error that each keypoint makes on its own, and of the pose fitted to them."""
    scale: float
    """Of the logarithm of the apparent size."""

    @property
    def common(self) -> FloatArray:
        """Factors of the errors in `LiftedKeypoints.common`, shape (2,); the unit is not seen."""
        return np.array([self.scale, 1.0])


def misfit(residual: float, score: FloatArray) -> float:
    """How little a view looks like the object: distance from its shape, and lack of certainty.

    Args:
        residual: weighted RMS distance of the keypoints from the canonical ones [model units].
        score: 0..1 per keypoint, shape (N,).
    """
    return residual + DOUBT_WEIGHT * (1 - float(score.mean()))


def view_traits(
    T_camera_object: FloatArray,
    misfit: float,
    orientation_score: float,
    layout: KeypointLayout,
    unit_m: float,
    *,
    scale: float,
    R_crop_camera: FloatArray,
) -> ViewTraits:
    """Traits of a view from its result.

    Args:
        T_camera_object: fitted pose [m, or model units if `unit_m` is 1].
        misfit: see `misfit`.
        orientation_score: probability, 0.5..1, that front and back are not confused.
        layout: keypoints of the model.
        unit_m: metres per model unit.
        scale: apparent size in the crop relative to the training view.
        R_crop_camera: rotation from the camera's frame to the crop's, (3, 3).
    """
    t = T_camera_object[:3, 3]
    distance = max(float(np.linalg.norm(t)), 1e-9)
    sight_object = T_camera_object[:3, :3].T @ t / distance
    centred = layout.canonical - layout.canonical.mean(axis=0)
    along = float(np.sum((centred @ sight_object) ** 2))
    odds = orientation_score / max(1 - orientation_score, 1e-9)
    return ViewTraits(
        misfit=misfit,
        foreshortening=along / max(float(np.sum(centred**2)), 1e-12),
        log_distance=math.log(distance / unit_m),
        certainty=min(math.log(max(odds, 1e-9)), _MAX_CERTAINTY),
        elevation=-float(sight_object[2]),
        zoom=abs(math.log(scale)),
        roll=_roll(R_crop_camera @ T_camera_object[:3, 2]),
    )


def _roll(up_crop: FloatArray) -> float:
    """Angle in the image between an upright axis (3,) and upwards [rad]; 0 of one seen end-on."""
    across, upwards = float(up_crop[0]), -float(up_crop[1])
    return abs(math.atan2(across, upwards)) if math.hypot(across, upwards) > _END_ON else 0.0


def growth_of(traits: ViewTraits, calibration: Calibration) -> Growth:
    """How much larger than in a typical view the errors of this one are."""
    typical = calibration.typical

    def factor(slopes: ViewTraits) -> float:
        exponent = sum(
            (getattr(traits, trait.name) - getattr(typical, trait.name))
            * getattr(slopes, trait.name)
            for trait in fields(ViewTraits)
        )
        return math.exp(min(max(exponent, -_MAX_LOG_GROWTH), _MAX_LOG_GROWTH))

    return Growth(factor(calibration.own_growth), factor(calibration.scale_growth))
