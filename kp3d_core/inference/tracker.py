"""Following one object through a stream of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.detector import Detector
from kp3d_core.inference.view import Region, View


class Tracker:
    """Looks where the object was last: one engine call per image once it is found."""

    def __init__(self, detector: Detector) -> None:
        """Start without an object."""
        self._detector = detector
        self._view: View | None = None

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
            self._view = detection.next_view if detection.accepted else None
            if detection.accepted:
                return detection
        detection = self._detector.detect(image, camera, region, down_camera=down_camera)
        self._view = detection.next_view if detection.accepted else None
        return detection
