"""What one image showed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference import CameraModel, Detection, Model
from kp3d_ros.categories import Category
from kp3d_ros.handover import Handover
from kp3d_ros.references import Placement

if TYPE_CHECKING:
    from std_msgs.msg import Header

NO_CALIBRATION = "no calibration"
LATE = "late"
"""Reasons of `Unused`."""


@dataclass(eq=False)
class FoundObject:
    """One object in one image, with everything that is published about it."""

    category: Category
    instance_id: str
    frame: str
    """Its TF frame."""
    detection: Detection
    from_depth: bool
    """Whether the scale was measured in a depth image."""
    placement: Placement | None = None
    """None before `Pipeline.place`; and if the fixed frame is not known at the time of the image,
    or a scale that a depth image should have told."""


class Unused(ValueError):
    """An image gets no answer, and nothing is wrong with it itself."""

    def __init__(self, reason: str, text: str) -> None:
        """Say why.

        Args:
            reason: a word or two, to count by.
            text: a sentence or two.
        """
        super().__init__(text)
        self.reason = reason


@dataclass(eq=False)
class Answer:
    """What one image showed."""

    header: Header
    """Of the image; the frame's name without a slash before it."""
    time_s: float
    """The image's stamp, or a little later where stamps repeat [s]."""
    given: Handover
    """What counted for it."""
    image: NDArray[np.uint8]
    camera: CameraModel
    anchor_frame: str
    """Frame in which references stand: that of the camera, or the fixed frame."""
    objects: list[FoundObject] = field(default_factory=list)
    lost: list[tuple[Category, str]] = field(default_factory=list)
    """Category and instance id of each object that is given up now."""
    refused: list[tuple[Model, Detection]] = field(default_factory=list)
    """What was seen and not accepted, and by which model."""
    ignored: str = ""
    """Why the boxes of the 2D detector are of no use; empty if they are, or there are none."""
    problems: list[str] = field(default_factory=list)
    """What kept the answer from being as good as it could be."""


def is_finite(detection: Detection) -> bool:
    """Whether everything that is published about a detection is a number."""
    values: tuple[Any, ...] = (
        detection.keypoints_camera,
        detection.keypoints_uv,
        detection.own_covariance,
        detection.common_errors,
        detection.T_camera_object,
        detection.pose_covariance,
        detection.score,
    )
    return all(np.isfinite(value).all() for value in values)
