"""One object from image to image: where it will be, and whether front and back are confused."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.rotation import invert_transform
from kp3d_core.geometry.symmetry import has_front, rotation_error
from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.settings import DetectorSettings

FloatArray = NDArray[np.float64]

_HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])
"""`T_object_flipped`: the object frame turned by 180 degrees about its z axis."""
_MAX_FLIP_ERROR_DEG = 30.0
"""A confused front and back leave the object where it was, but for this much."""
_EVIDENCE = 0.3
"""Weight of one image: neighbouring images err alike, each proves less than it would alone."""
_MAX_SCORE = 0.99
_MAX_LOG_ODDS = 4.0
"""So that a wrong belief is overthrown within a few images."""


class Track:
    """State of one object that is being followed."""

    def __init__(self, detection: Detection, *, symmetry: str = "none") -> None:
        """Start with an accepted detection.

        Args:
            detection: where the object is.
            symmetry: of the object about z; without a front there is nothing to confuse.
        """
        self.detection = detection
        """The newest accepted one."""
        self._symmetry = symmetry
        self._turns = 0
        self._log_odds = _log_odds(detection.orientation_score)

    def change_camera(self, camera: CameraModel) -> None:
        """The next image has another calibration: the same directions are other pixels in it."""
        uv = camera.project(self.detection.keypoints_camera)
        self.detection = dataclasses.replace(self.detection, keypoints_uv=uv)

    def follow(
        self, detection: Detection, camera: CameraModel, settings: DetectorSettings
    ) -> Detection:
        """The detection in the next image; corrected or refused if it contradicts the track.

        Turned by about 180 degrees from one image to the next, either the object's front and back
        are confused now or they were before. Both hypotheses are weighed by a sequential test: the
        track's log odds go up with each image that agrees and down with each that does not, by
        the network's own certainty. While the track is the likelier one, the detection is turned
        back; else the new orientation counts from here on. A turn that neither explains is refused
        `settings.turn_patience` times, then believed.

        Of the two answers that are equally right of a two-fold object, the one that goes on from
        the last image counts.
        """
        if not detection.accepted:
            return detection
        detection = self.alike(detection, camera)
        turn_deg = self._turn_deg(detection.T_camera_object)
        if turn_deg > settings.max_turn_deg and settings.turn_patience:
            flipped = detection.T_camera_object @ _HALF_TURN
            if has_front(self._symmetry) and self._turn_deg(flipped) < _MAX_FLIP_ERROR_DEG:
                return self._weigh(detection, camera)
            if self._turns < settings.turn_patience:
                self._turns += 1
                # Where the object is stays known: a wrong orientation hardly moves it.
                problem = f"the object seems to have turned by {turn_deg:.0f} deg at once"
                self.detection = dataclasses.replace(self.detection, next_view=detection.next_view)
                return dataclasses.replace(detection, problems=(problem,))
            self._log_odds = 0.0
        self._log_odds += _EVIDENCE * _log_odds(detection.orientation_score)
        return self._believe(detection)

    def alike(self, detection: Detection, camera: CameraModel) -> Detection:
        """The answer, of those that are equally right, that is turned least from the last one."""
        R, R_before = detection.T_camera_object[:3, :3], self.detection.T_camera_object[:3, :3]
        if self._symmetry != "two-fold" or R[:, :2].ravel() @ R_before[:, :2].ravel() >= 0:
            return detection
        return flip_front_and_back(detection, camera, detection.orientation_score)

    def _weigh(self, detection: Detection, camera: CameraModel) -> Detection:
        """The detection as it is or turned back, whichever is likelier."""
        self._log_odds -= _EVIDENCE * _log_odds(detection.orientation_score)
        if self._log_odds < 0:
            self._log_odds = -self._log_odds
            return self._believe(detection)
        probability = 1 / (1 + math.exp(-self._log_odds))
        return self._believe(flip_front_and_back(detection, camera, probability))

    def _believe(self, detection: Detection) -> Detection:
        self._turns = 0
        self._log_odds = min(self._log_odds, _MAX_LOG_ODDS)
        self.detection = detection
        return detection

    def _turn_deg(self, T_camera_object: FloatArray) -> float:
        R_before = self.detection.T_camera_object[:3, :3]
        return math.degrees(rotation_error(R_before, T_camera_object[:3, :3], self._symmetry))


def flip_front_and_back(
    detection: Detection, camera: CameraModel, orientation_score: float
) -> Detection:
    """The detection as it would be had front and back not been confused.

    The network has then seen the object turned by 180 degrees about its z axis, keypoint for
    keypoint: turning them back about that axis gives each its place.

    Args:
        detection: with front and back confused.
        camera: of its image.
        orientation_score: probability that this is right.
    """
    T = detection.T_camera_object @ _HALF_TURN
    turn = T @ invert_transform(detection.T_camera_object)
    points = detection.keypoints_camera @ turn[:3, :3].T + turn[:3, 3]
    return dataclasses.replace(
        detection,
        T_camera_object=T,
        keypoints_camera=points,
        keypoints_uv=camera.project(points),
        orientation_score=orientation_score,
    )


def _log_odds(score: float) -> float:
    score = min(max(score, 0.5), _MAX_SCORE)
    return math.log(score / (1 - score))
