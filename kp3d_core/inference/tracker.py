"""Following one object through a stream of images."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kp3d_core.geometry.rotation import rotation_angle
from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.detector import Detector
from kp3d_core.inference.view import Region, View

FloatArray = NDArray[np.float64]


class Tracker:
    """Looks where the object was last: one engine call per image once it is found."""

    def __init__(self, detector: Detector) -> None:
        """Start without an object."""
        self._detector = detector
        self._view: View | None = None
        self._R_camera_object: FloatArray | None = None
        self._turns = 0

    @property
    def tracking(self) -> bool:
        """Whether the next image will be searched at the last place only."""
        return self._view is not None

    def reset(self) -> None:
        """Forget the object, so that the next image starts from its region."""
        self._view = None

    def update(
        self,
        image: NDArray[np.uint8],
        camera: CameraModel,
        region: Region | None = None,
        *,
        down_camera: ArrayLike | None = None,
    ) -> Detection:
        """Detection in the next image, accepted or not.

        Args:
            image: RGB, shape (H, W, 3).
            camera: calibration of the image.
            region: where to find the object while it is not tracked; the whole image if None.
            down_camera: direction of gravity in the camera frame.
        """
        if self._view is not None:
            detection = self._detector.track(image, camera, self._view, down_camera=down_camera)
            if detection.accepted:
                return self._follow(detection)
        detection = self._detector.detect(image, camera, region, down_camera=down_camera)
        self._view = detection.next_view if detection.accepted else None
        self._believe(detection)
        return detection

    def _follow(self, detection: Detection) -> Detection:
        """Detection of the tracked object, refused while its turn is too sudden to be true.

        Where the object is stays known meanwhile: a wrong orientation hardly moves it.
        """
        settings = self._detector.settings
        self._view = detection.next_view
        assert self._R_camera_object is not None
        R = detection.T_camera_object[:3, :3]
        turn_deg = math.degrees(rotation_angle(self._R_camera_object, R))
        if turn_deg > settings.max_turn_deg and self._turns < settings.turn_patience:
            self._turns += 1
            problem = f"front and back may be confused: turned by {turn_deg:.0f} deg at once"
            return dataclasses.replace(detection, problems=(problem,))
        self._believe(detection)
        return detection

    def _believe(self, detection: Detection) -> None:
        """Take the orientation that the next image is compared with."""
        self._R_camera_object = detection.T_camera_object[:3, :3]
        self._turns = 0
