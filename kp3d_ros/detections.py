"""Which 2D detections count for an image, and why others do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kp3d_core.inference import Places
from kp3d_ros.answer import Answer
from kp3d_ros.regions import of_another_camera, places_for, why_ignored

if TYPE_CHECKING:
    from vision_msgs.msg import Detection2DArray


class Detections:
    """Remembers since when the newest message is known, and whether it was of use."""

    def __init__(self) -> None:
        """Start without any."""
        self._known: Detection2DArray | None = None
        self._since_s = 0.0
        """Time of the first image that met it [s]."""
        self._used: Detection2DArray | None = None
        """The last one that was of use."""

    def meet(self, answer: Answer) -> None:
        """An image comes."""
        if answer.given.detections is not self._known:
            self._known, self._since_s = answer.given.detections, answer.time_s

    def places(self, answer: Answer, class_id: str) -> tuple[Places, list[str]]:
        """Where to look for objects of a class, and what is wrong with boxes that are left out."""
        header, detections = answer.header, answer.given.detections
        if detections is not None and of_another_camera(detections, header.frame_id):
            detections = None
        known_s = answer.time_s - self._since_s
        return places_for(detections, header.stamp, class_id, answer.given.settings, known_s)

    def why_ignored(self, answer: Answer, classes: Sequence[str]) -> str:
        """Why the newest ones are of no use; empty if they are, or have been.

        Args:
            answer: of the image.
            classes: those of the objects that are looked for.
        """
        detections, header = answer.given.detections, answer.header
        if detections is None or detections is self._used:
            return ""
        why = of_another_camera(detections, header.frame_id)
        why = why or why_ignored(detections, header.stamp, classes, answer.given.settings)
        if not why:
            self._used = detections
        return why
