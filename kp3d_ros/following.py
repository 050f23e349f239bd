"""Where to look in each image: at the object followed so far, or where something says it is."""

from __future__ import annotations

import dataclasses

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from vision_msgs.msg import Detection2DArray

from kp3d_core.inference import CameraModel, Detection, Detector, Region, Tracker
from kp3d_ros.parameters import Settings
from kp3d_ros.regions import (
    configured_region,
    contradicts,
    detected_region,
    is_fresh,
    keypoint_region,
    stamp_seconds,
)


class Follower:
    """Follows one object, with the help of a 2D detector where there is one."""

    def __init__(self, detector: Detector) -> None:
        """Start without an object."""
        self._tracker = Tracker(detector)
        self._last: Detection | None = None
        self._last_stamp_s = 0.0
        self._last_size_wh = (0, 0)
        self._seen: Detection2DArray | None = None
        self.track = 0
        """Number of times that an object was found anew."""

    @property
    def tracking(self) -> bool:
        """Whether it is known where the object is."""
        return self._tracker.tracking

    def update(
        self,
        image: NDArray[np.uint8],
        camera: CameraModel,
        stamp: Time,
        detections: Detection2DArray | None,
        settings: Settings,
    ) -> Detection | None:
        """The object in the next image, accepted or not; None if there was nowhere to look.

        Args:
            image: RGB, shape (H, W, 3).
            camera: calibration of the image.
            stamp: when it was taken.
            detections: the newest message of the 2D detector.
            settings: of the node.
        """
        self._reset_after_jump(stamp, camera)
        was_tracking = self._tracker.tracking
        if was_tracking and self._last is not None:
            detected = self._news(detections, stamp, settings)
            region: Region | None = detected or keypoint_region(self._last, camera)
        else:
            detected = detected_region(detections, stamp, settings)
            if detected is None and settings.detections_required:
                return None
            region = detected or configured_region(settings)
        gravity = settings.gravity if any(settings.gravity) else None
        detection = self._tracker.update(image, camera, region, down_camera=gravity)
        if detected and is_fresh(detections, stamp):
            if was_tracking and detection.accepted and contradicts(detected, detection):
                self._tracker.reset()
                was_tracking = False
                detection = self._tracker.update(image, camera, detected, down_camera=gravity)
            detection = self._refuse_elsewhere(detection, detected)
        if detection.accepted:
            self._last = detection
            self.track += not was_tracking
        return detection

    def _reset_after_jump(self, stamp: Time, camera: CameraModel) -> None:
        """Forget where the object was when time runs backwards (a looped bag) or size changes."""
        stamp_s, size_wh = stamp_seconds(stamp), (camera.width, camera.height)
        if stamp_s < self._last_stamp_s or size_wh != self._last_size_wh:
            self._tracker.reset()
        self._last_stamp_s, self._last_size_wh = stamp_s, size_wh

    def _refuse_elsewhere(self, detection: Detection, box: Region) -> Detection:
        """The detection, refused if it is not where the 2D detector sees the object right now."""
        if not detection.accepted or not contradicts(box, detection):
            return detection
        self._tracker.reset()
        problem = "most keypoints are outside the box of the 2D detector"
        return dataclasses.replace(detection, problems=(problem,))

    def _news(
        self, detections: Detection2DArray | None, stamp: Time, settings: Settings
    ) -> Region | None:
        """The 2D detector's box of this moment, once for each of its messages."""
        if detections is None or detections is self._seen or not is_fresh(detections, stamp):
            return None
        self._seen = detections
        return detected_region(detections, stamp, settings)
