"""Where the camera is, and where down is, by the transforms of others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kp3d_ros.answer import Answer
from kp3d_ros.headers import plain_frame, stamp_nanoseconds
from kp3d_ros.tf_buffer import Lookup

FloatArray = NDArray[np.float64]


class CameraFrames:
    """Transforms of the camera at the times of its images."""

    def __init__(self, lookup: Lookup) -> None:
        """Start without a direction of gravity.

        Args:
            lookup: transforms at a time.
        """
        self._lookup = lookup
        self._down_camera: FloatArray | None = None
        """The last direction of gravity that a transform told."""

    def forget(self) -> None:
        """The camera or the time is another one: what was known is not true any more."""
        self._down_camera = None

    def anchor(self, answer: Answer) -> FloatArray | None:
        """Camera in the frame of the references; None if that is not known at the image's time."""
        fixed_frame = plain_frame(answer.given.settings.fixed_frame)
        return self._transform(fixed_frame, answer) if fixed_frame else np.eye(4)

    def gravity(self, answer: Answer) -> FloatArray | None:
        """Direction of gravity in the camera frame; None stands for the image's y axis."""
        settings = answer.given.settings
        if settings.gravity_frame:
            T = self._transform(plain_frame(settings.gravity_frame), answer)
            if T is not None:
                self._down_camera = -T[2, :3]  # (0, 0, -1) of that frame in the camera's
            if self._down_camera is not None:
                return self._down_camera
        gravity = np.array(settings.gravity, np.float64)
        return gravity if gravity.any() else None

    def _transform(self, target: str, answer: Answer) -> FloatArray | None:
        header = answer.header
        try:
            return self._lookup(target, header.frame_id, stamp_nanoseconds(header.stamp))
        except ValueError as error:
            answer.problems.append(str(error))
            return None
