"""Which depth image belongs to which image."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import TYPE_CHECKING, Any, NamedTuple

from kp3d_ros.headers import stamp_nanoseconds
from kp3d_ros.patience import Patience

if TYPE_CHECKING:
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

_KEPT = 5


class _Entry(NamedTuple):
    stamp_ns: int
    message: Image


class DepthImages:
    """The last depth images; safe to fill and ask from two threads.

    An image takes the one of its own stamp, else the nearest in time.
    """

    def __init__(self, wait_s: float = 0.0) -> None:
        """Start without any.

        Args:
            wait_s: how long an image waits for the one of its stamp, as long as images do have
                one [s].
        """
        self._patience = Patience(wait_s)
        self._changed = Condition()
        self.wait_for: Callable[[Callable[[], Any], float], Any] = self._changed.wait_for
        """As that of `Calibrations`."""
        self._entries: deque[_Entry] = deque(maxlen=_KEPT)

    def put(self, message: Image) -> None:
        """Take in a message.

        Raises:
            ValueError: it cannot be read.
        """
        entry = _Entry(stamp_nanoseconds(message.header.stamp), message)
        with self._changed:
            self._entries.append(entry)
            self._patience.note_arrival(entry.stamp_ns)
            self._changed.notify_all()

    def keep_only(self, keeps: Callable[[Header], bool]) -> None:
        """Forget the messages of other headers."""
        with self._changed:
            kept = [entry for entry in self._entries if keeps(entry.message.header)]
            self._entries = deque(kept, maxlen=_KEPT)

    def clear(self) -> None:
        """Forget all messages."""
        self.keep_only(lambda _: False)

    def nearest(self, stamp_ns: int, max_age_s: float) -> Image | None:
        """The depth image of an image; None if none is near enough.

        Args:
            stamp_ns: of the image [ns].
            max_age_s: largest distance in time [s].
        """

        def own() -> _Entry | None:
            return next((e for e in reversed(self._entries) if e.stamp_ns == stamp_ns), None)

        with self._changed:
            self._patience.ask(stamp_ns)
            entry = self.wait_for(own, self._patience.wait_s)
            self._patience.note(bool(entry))
            entries = [entry] if entry else list(self._entries)
        best = min(entries, key=lambda e: abs(e.stamp_ns - stamp_ns), default=None)
        if best is None or abs(best.stamp_ns - stamp_ns) > max_age_s * 1e9:
            return None
        return best.message
