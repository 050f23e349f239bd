"""Which 2D detections count for an image, and why others do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kp3d_core.inference import Places
from kp3d_ros.answer import Answer
from kp3d_ros.headers import stamp_nanoseconds
from kp3d_ros.regions import of_another_camera, places_for, why_ignored

if TYPE_CHECKING:
    from vision_msgs.msg import Detection2DArray


_OTHER_SIZE = (
    "Detections are not used: they were made of an image of another size than those now, and may "
    "be of another part of what the camera sees. Keep the size, or detect in each image."
)


class Detections:
    """Remembers since when the newest message is known, and whether it was of use."""

    def __init__(self) -> None:
        """Start without any."""
        self._classes: Sequence[str] = ()
        self._known: Detection2DArray | None = None
        self._since_s = 0.0
        """Time of the first image that met it [s]."""
        self._used: Detection2DArray | None = None
        """The last one that was of use."""
        self._size_wh = (0, 0)
        self._stamp_ns = -1
        """Of the last image."""
        self._other_size_ns = -1
        """Stamp of the last image of another size than those now."""

    def meet(self, answer: Answer, classes: Sequence[str]) -> None:
        """An image comes.

        Args:
            answer: of the image.
            classes: those of the objects that are looked for.
        """
        self._classes = classes
        if answer.given.detections is not self._known:
            self._known, self._since_s = answer.given.detections, answer.time_s
        stamp_ns = stamp_nanoseconds(answer.header.stamp)
        size_wh = (answer.camera.width, answer.camera.height)
        if size_wh != self._size_wh:
            self._other_size_ns = self._stamp_ns
        if stamp_ns <= self._other_size_ns:  # stamps that do not grow do not tell
            self._other_size_ns = -1
        self._size_wh, self._stamp_ns = size_wh, stamp_ns

    def _is_outdated(self, detections: Detection2DArray) -> bool:
        """Whether boxes were made of an image of another size, which may show another part."""
        return stamp_nanoseconds(detections.header.stamp) <= self._other_size_ns

    def places(self, answer: Answer, class_id: str) -> tuple[Places, list[str]]:
        """Where to look for objects of a class, and what is wrong with boxes that are left out."""
        header, detections = answer.header, answer.given.detections
        if detections is not None and of_another_camera(detections, header.frame_id):
            detections = None
        if detections is not None and self._is_outdated(detections):
            detections = None
        known_s = answer.time_s - self._since_s
        settings = answer.given.settings
        return places_for(detections, header.stamp, class_id, settings, known_s, self._classes)

    def why_ignored(self, answer: Answer) -> str:
        """Why the newest ones are of no use; empty if they are, or have been."""
        detections, header = answer.given.detections, answer.header
        if detections is None or detections is self._used:
            return ""
        why = of_another_camera(detections, header.frame_id)
        if self._is_outdated(detections) and detections.detections:
            why = why or _OTHER_SIZE
        why = why or why_ignored(detections, header.stamp, self._classes, answer.given.settings)
        if not why:
            self._used = detections
        return why
