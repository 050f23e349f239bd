"""When the detector looks again, and what it accepts."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference.acceptance import DEFAULT_MAX_WRONG, Acceptance
from kp3d_core.inference.detection import Detection


@dataclass(frozen=True)
class DetectorSettings:
    """Settings of `Detector`."""

    region_extent: float = 1.7
    """Length that the larger side of a region is taken for at first [model units]. The object's
    longest dimension has 2; seen from an angle it spans less."""
    max_runs: int = 4
    """Most engine calls of one acquisition."""
    search_levels: int = 2
    """Zooms (1, 2, 4, ...) at which the whole image is searched where no region is given; 2 find
    objects down to about a quarter of the image's width with 7 crops, 3 down to an eighth with 27.
    1 looks at the image as a whole only."""
    scale_tolerance: float = 0.1
    """Acquisition ends when ln(scale) is closer to 0 than this."""
    center_tolerance: float = 0.03
    """Acquisition ends when the object's origin is closer to the crop's centre than this fraction
    of the crop's width."""
    min_scale: float = 0.6
    """Smaller apparent sizes are refused: outside what the network was trained for."""
    max_scale: float = 1.7
    """Larger apparent sizes are refused."""
    min_inside: float = 0.8
    """Smallest accepted fraction of keypoints inside the crop and the full image."""
    max_wrong: float = DEFAULT_MAX_WRONG
    """Largest share of wrong results among those accepted, 0..1: orientations off by more than 30
    degrees, and what is no such object. 1 accepts all that is not impossible."""
    max_turn_deg: float = 90.0
    """A tracked object that seems to turn by more than this from one image to the next is refused
    at first: most likely its front and back were confused [deg]."""
    turn_patience: int = 3
    """So many images in a row are refused for that reason, then the new orientation counts; 0
    believes every image."""

    def __post_init__(self) -> None:
        """Check ranges, and report all problems at once."""
        problems = [
            f"{field.name} must be a positive number, got {getattr(self, field.name)!r}."
            for field in fields(self)
            if not _is_positive(getattr(self, field.name)) and field.name not in _MAY_BE_ZERO
        ]
        if not 0 <= self.turn_patience < math.inf:
            problems.append(f"turn_patience must not be negative, got {self.turn_patience!r}.")
        for name in _FRACTIONS:
            if not 0 <= getattr(self, name) <= 1:
                problems.append(f"{name} must be in [0, 1], got {getattr(self, name)!r}.")
        if not problems and not self.min_scale < 1 < self.max_scale:
            problems.append(
                f"min_scale < 1 < max_scale must hold, got {self.min_scale} and {self.max_scale}."
            )
        if problems:
            raise ValueError("Detector settings cannot be used: " + " ".join(problems))

    def problems_of(
        self, detection: Detection, crop_uv: NDArray[np.float64], acceptance: Acceptance
    ) -> tuple[str, ...]:
        """Reasons to refuse a detection.

        Args:
            detection: what was found.
            crop_uv: its keypoints in the crop [px].
            acceptance: of the model.
        """
        problems = []
        if not self.min_scale <= detection.scale <= self.max_scale:
            problems.append(
                f"apparent size {detection.scale:.2f} is outside "
                f"[{self.min_scale:g}, {self.max_scale:g}]"
            )
        edge = detection.crop.size - 0.5
        inside = float(((crop_uv > -0.5) & (crop_uv < edge)).all(axis=1).mean())
        if inside < self.min_inside:
            problems.append(
                f"only {inside:.0%} of the keypoints are in view, below {self.min_inside:.0%}"
            )
        limit = acceptance.limit(self.max_wrong)
        if limit.probability < 0:
            problems.append(
                f"no result of this model is known to be wrong in only {self.max_wrong:.3g} of all "
                f"cases, the surest are in {acceptance.least_wrong:.3g}"
            )
        elif detection.wrong_probability > limit.probability:
            problems.append(
                f"it is wrong with a probability of {detection.wrong_probability:.3g}, over "
                f"{limit.probability:.3g}, which keeps wrong results under {self.max_wrong:.3g}"
            )
        if detection.keypoints_camera[:, 2].min() <= 0 and detection.crop.R_crop_camera[2, 2] > 0:
            problems.append("keypoints lie behind the camera")
        return tuple(problems)


_FRACTIONS = ("max_wrong", "min_inside")
_MAY_BE_ZERO = (*_FRACTIONS, "turn_patience")


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and 0 < value < math.inf
