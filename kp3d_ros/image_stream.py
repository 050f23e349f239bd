"""Whether an image continues those before it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from kp3d_core.inference import ImageClock, Order
from kp3d_ros.answer import LATE, Unused
from kp3d_ros.headers import stamp_nanoseconds

if TYPE_CHECKING:
    from std_msgs.msg import Header


class Change(Enum):
    """What is another since the last image."""

    NOTHING = "nothing"
    CAMERA = "camera"
    """The image is of another frame."""
    CLOCK = "clock"
    """Time was set back: what was known is not true any more."""


class ImageStream:
    """Frame and time of the images of one topic."""

    def __init__(self) -> None:
        """Start without a past."""
        self._clock = ImageClock()
        self._frame_id: str | None = None

    @property
    def time_s(self) -> float:
        """Time of the last image [s]; grows where stamps repeat."""
        return self._clock.time_s

    def follow(self, header: Header, was_set_back: bool = False) -> tuple[Change, str]:
        """What has changed with the next image, and a sentence that says so.

        Args:
            header: of the image.
            was_set_back: the clock is known to have been set back since the last one.

        Raises:
            Unused: images that came before it have overtaken it.
        """
        stamp_ns, before_s = stamp_nanoseconds(header.stamp), self._clock.time_s
        frame_id, before = header.frame_id, self._frame_id
        is_other = before is not None and frame_id != before
        if is_other or was_set_back:
            self._clock = ImageClock()
        order = self._clock.follow(stamp_ns)
        if order is Order.LATE:
            raise Unused(
                LATE,
                f"Image dropped: it was taken {before_s - stamp_ns * 1e-9:.3f} s before the last "
                "one and came after it. If this is frequent, check the network or the driver.",
            )
        self._frame_id = frame_id
        if was_set_back or order is Order.RESTART:
            text = "Time was set back: all objects are given up, with their references."
            return Change.CLOCK, text
        if is_other:
            return Change.CAMERA, (
                f"frame_id of the images must stay the same, '{before}' expected, got "
                f"'{frame_id}': all objects are given up. One node serves one camera: start "
                "another for the other one."
            )
        return Change.NOTHING, ""
