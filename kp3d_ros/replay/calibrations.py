"""All calibrations of a recording, also those that come after their images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from rosbags.typesys.store import Typestore

from kp3d_core.inference import Order, StreamOrder
from kp3d_ros.calibrations import Calibrations
from kp3d_ros.camera_info_conversion import image_size
from kp3d_ros.headers import stamp_nanoseconds
from kp3d_ros.replay.bags import Bag
from kp3d_ros.replay.decoding import decode
from kp3d_ros.replay.topics import CAMERA_INFO

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo


class RecordedCalibrations:
    """Hands the calibrations of a recording to the pipeline before they are asked for.

    In the order of the recording, as a node gets them; but ahead of their time that of an image's
    own stamp, if there is one, and the first one of each frame and size of image. Where the clock
    is set back, as where a recording was made in a loop, a new run begins, and what was before is
    forgotten.
    """

    def __init__(self, bag: Bag, topic: str, store: Typestore) -> None:
        """Read them all.

        Raises:
            ValueError: there is none that can be read.
        """
        self.calibrations = Calibrations(kept=None)
        """For the pipeline."""
        self.unreadable = 0
        """Messages that could not be decoded."""
        self._store = store
        self._ahead: dict[tuple[int, int], bytes] = {}
        """What is to come: the first one of each run and stamp."""
        self._infos, self._info_run = StreamOrder(), 0
        self._images, self._image_run = StreamOrder(), 0
        self._run = -1
        self._last: tuple[int, bytes] = (0, b"")
        self._latest_ns = 0
        self._first: dict[int, dict[tuple[str, tuple[int, int]], CameraInfo]] = {}
        """By run, frame and size of image."""
        seen: set[tuple[int, bytes]] = set()
        order, run = StreamOrder(), 0
        for _, _, raw in bag.messages([topic]):
            try:
                stamp_ns, content = _stamp(raw), _content(raw)
                info = None if (run, content) in seen else decode(store, raw, CAMERA_INFO)
            except ValueError:
                self.unreadable += 1
                continue
            run += order.follow(stamp_ns) is Order.RESTART
            self._ahead.setdefault((run, stamp_ns), raw)
            if info is not None:
                camera = info.header.frame_id, image_size(info)
                self._first.setdefault(run, {}).setdefault(camera, info)
                seen.add((run, content))
        if not self._first:
            raise ValueError(
                f"Topic {topic} must hold a CameraInfo: without the calibration no image can be "
                f"answered. {bag.path} holds {self.unreadable or 'none'}"
                f"{' that cannot be decoded' if self.unreadable else ''}. Name another topic with "
                "--camera-info, or record it."
            )
        self._enter(0)

    def put(self, raw: bytes) -> None:
        """It is the time of a message in the recording."""
        try:
            stamp_ns = _stamp(raw)
            self._info_run += self._infos.follow(stamp_ns) is Order.RESTART
            self._enter(self._info_run)
            self._put(raw, stamp_ns, self._info_run)
        except ValueError:
            return  # counted before

    def put_that_of(self, image: Any) -> None:
        """An image comes: its own CameraInfo, if that is still to come."""
        stamp_ns = stamp_nanoseconds(image.header.stamp)
        self._image_run += self._images.follow(stamp_ns) is Order.RESTART
        self._enter(self._image_run)
        raw = self._ahead.get((self._image_run, stamp_ns))
        if raw is not None:
            self._put(raw, stamp_ns, self._image_run)

    def _enter(self, run: int) -> None:
        """Begin a run, if it has calibrations and none after it has begun."""
        if run <= self._run or run not in self._first:
            return
        self._run = run
        self.calibrations.clear()
        for info in reversed(self._first[run].values()):
            self.calibrations.put(info)
        self._last = 0, b""

    def _put(self, raw: bytes, stamp_ns: int, run: int) -> None:
        content = _content(raw)
        last_ns, last_content = self._last
        # The last one counts on if it says the same: an hour holds 100,000 of them. But after the
        # clock was set back this one's stamp may be another's, which says something else.
        is_known = stamp_ns > self._latest_ns or stamp_ns == last_ns
        if content != last_content or not is_known:
            self.calibrations.put(decode(self._store, raw, CAMERA_INFO))
            self._last = stamp_ns, content
        self._latest_ns = max(self._latest_ns, stamp_ns)
        self._ahead.pop((run, stamp_ns), None)


def _stamp(raw: bytes) -> int:
    """Stamp of a serialized message that begins with its header [ns]."""
    if len(raw) < 12:
        raise ValueError(f"A CameraInfo must have a stamp, got {len(raw)} bytes.")
    order: Literal["little", "big"] = "little" if raw[1] & 1 else "big"
    return int.from_bytes(raw[4:8], order) * 10**9 + int.from_bytes(raw[8:12], order)


def _content(raw: bytes) -> bytes:
    """All of a serialized message but its stamp."""
    return bytes(raw[:4]) + bytes(raw[12:])
