"""Which calibration belongs to which image."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import TYPE_CHECKING, Any, NamedTuple

from kp3d_core.inference import CameraModel, Order, StreamOrder
from kp3d_ros.camera_info_conversion import camera_from_info, image_size, same_calibration
from kp3d_ros.headers import plain_frame, stamp_nanoseconds
from kp3d_ros.patience import Patience

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo

FIRST_WAIT_S = 0.2
"""How long an image waits for the first CameraInfo of all [s]."""
_KEPT = 64
"""A live camera's last messages: two seconds of 30 Hz."""
_CAMERAS = 4
"""Camera models that are kept ready: those of a camera that changes between a few sizes."""


class CameraMatch(NamedTuple):
    """The camera model of an image."""

    camera: CameraModel
    problems: list[str]
    """Why it may be wrong."""


class _Entry(NamedTuple):
    stamp_ns: int
    frame_id: str
    size_wh: tuple[int, int]
    info: CameraInfo


class Calibrations:
    """CameraInfo messages; safe to fill and ask from two threads.

    An image takes the CameraInfo of its own stamp. Where there is none, it takes the last one from
    before its time, of its own frame and size if there are any. What is chosen depends on what is
    known and not on how fast it came, so all calibrations of a recording may be handed in ahead.
    """

    def __init__(
        self, *, wait_s: float = 0.0, first_wait_s: float = 0.0, kept: int | None = _KEPT
    ) -> None:
        """Start without any.

        Args:
            wait_s: how long an image waits for the CameraInfo of its stamp, as long as images do
                have one [s].
            first_wait_s: how long an image waits while there is no CameraInfo at all [s].
            kept: so many messages, the last ones, and none from before the clock was set back;
                None: all, in whatever order they come.
        """
        self._patience = Patience(wait_s)
        self._first_wait_s, self._kept = first_wait_s, kept
        self._changed = Condition()
        self.wait_for: Callable[[Callable[[], Any], float], Any] = self._changed.wait_for
        """How to wait for a condition, at most for a time [s]: until another thread has put in what
        fulfils it. Whoever asks in the thread that takes messages sets what takes them."""
        self._entries: deque[_Entry] = deque()
        """In the order in which they came."""
        self._by_stamp: dict[int, list[_Entry]] = {}
        self._order = StreamOrder()
        self._cameras: list[tuple[CameraInfo, bool, CameraModel]] = []
        """Of the asking thread: the last ones, newest first."""

    @property
    def any_known(self) -> bool:
        """Whether there is any."""
        return bool(self._entries)

    def put(self, info: CameraInfo) -> None:
        """Take in a message."""
        header = info.header
        entry = _Entry(
            stamp_nanoseconds(header.stamp), plain_frame(header.frame_id), image_size(info), info
        )
        with self._changed:
            if self._kept is not None and self._order.follow(entry.stamp_ns) is Order.RESTART:
                # Stamps come again and mean other images: none may take what had its stamp before.
                self._entries.clear()
                self._by_stamp.clear()
            self._entries.append(entry)
            self._by_stamp.setdefault(entry.stamp_ns, []).append(entry)
            if self._kept is not None and len(self._entries) > self._kept:
                self._forget_oldest()
            self._patience.note_arrival(entry.stamp_ns)
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget all messages."""
        with self._changed:
            self._entries.clear()
            self._by_stamp.clear()
            self._patience.note(True)
        self._cameras.clear()

    def camera_for(
        self, stamp_ns: int, frame_id: str, width: int, height: int, *, rectified: bool
    ) -> CameraMatch | None:
        """Camera model of an image; None if no CameraInfo has come yet.

        Args:
            stamp_ns: of the image [ns].
            frame_id: of the image.
            width: of the image [px].
            height: of the image [px].
            rectified: the image is rectified.

        Raises:
            ValueError: no calibration fits the image, or it cannot be used.
        """
        frame_id, size_wh = plain_frame(frame_id), (width, height)
        with self._changed:
            self._patience.ask(stamp_ns)
            if not self.wait_for(lambda: bool(self._entries), self._first_wait_s):
                return None
            entry = self._own_or_wait(stamp_ns, frame_id, size_wh)
            self._patience.note(bool(entry))
            last = self._last(stamp_ns, "", None)
            entry = entry or self._last(stamp_ns, frame_id, size_wh)
        problems = [*_size_problems(entry, last, size_wh), *_frame_problems(entry, frame_id)]
        return CameraMatch(self._camera(entry.info, size_wh, rectified), problems)

    def _own_or_wait(self, stamp_ns: int, frame_id: str, size_wh: tuple[int, int]) -> _Entry | None:
        """The CameraInfo of an image's own stamp, if it is there or comes soon."""

        def own() -> _Entry | None:
            if stamp_ns not in self._by_stamp:
                return None
            entry = self._last(stamp_ns, frame_id, size_wh)
            return entry if entry.stamp_ns == stamp_ns else None

        # A size that no calibration fits is worth a wait in any case: else the image is refused.
        fits = any(entry.size_wh == size_wh for entry in self._entries)
        wait_s = self._patience.wait_s if fits else self._patience.longest_s
        entry: _Entry | None = self.wait_for(own, wait_s)
        return entry

    def _last(self, stamp_ns: int, frame_id: str, size_wh: tuple[int, int] | None) -> _Entry:
        """The last one from before a time; of a frame and size, or of any if there is none."""

        def rank(entry: _Entry) -> tuple[bool, bool, bool, bool, int]:
            return (
                frame_id in ("", entry.frame_id) or not entry.frame_id,
                size_wh in (None, entry.size_wh),
                entry.stamp_ns == stamp_ns,
                entry.stamp_ns <= stamp_ns,
                # Of those from before the image the last to come, else the nearest in time.
                0 if entry.stamp_ns <= stamp_ns else -entry.stamp_ns,
            )

        best = (True, True, True, True, 0)
        for entry in reversed(self._by_stamp.get(stamp_ns, ())):
            if rank(entry) == best:
                return entry
        return max(reversed(self._entries), key=rank)

    def _forget_oldest(self) -> None:
        entry = self._entries.popleft()
        same = self._by_stamp[entry.stamp_ns]
        same.pop(0)
        if not same:
            del self._by_stamp[entry.stamp_ns]

    def _camera(self, info: CameraInfo, size_wh: tuple[int, int], rectified: bool) -> CameraModel:
        for i, (known, was_rectified, camera) in enumerate(self._cameras):
            is_same = was_rectified == rectified and (camera.width, camera.height) == size_wh
            if is_same and same_calibration(known, info):
                self._cameras.insert(0, self._cameras.pop(i))
                return camera
        camera = camera_from_info(info, *size_wh, rectified=rectified)
        self._cameras = [(info, rectified, camera), *self._cameras[: _CAMERAS - 1]]
        return camera


def _size_problems(entry: _Entry, last: _Entry, size_wh: tuple[int, int]) -> list[str]:
    if entry.size_wh != size_wh or last.size_wh == size_wh:
        return []
    return [
        f"The newest CameraInfo is for images of {last.size_wh[0]} x {last.size_wh[1]} pixels, the "
        f"image has {size_wh[0]} x {size_wh[1]}: the last calibration of that size is used. "
        "Publish the CameraInfo that belongs to each image."
    ]


def _frame_problems(entry: _Entry, frame_id: str) -> list[str]:
    if not (frame_id and entry.frame_id) or entry.frame_id == frame_id:
        return []
    return [
        f"CameraInfo must be that of the image's camera: frame_id '{frame_id}' expected, got "
        f"'{entry.frame_id}'. If that is another camera, all distances are wrong. Remap "
        "'camera_info' to the topic beside the image."
    ]
