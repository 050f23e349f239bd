"""All transforms of a recording, so that no image has to wait for those of its time."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray
from rosbags.typesys.store import Typestore

from kp3d_core.inference import Order, StreamOrder
from kp3d_ros.headers import stamp_nanoseconds
from kp3d_ros.replay.bags import Bag
from kp3d_ros.replay.decoding import decode
from kp3d_ros.tf_buffer import TfBuffer

_TF, _TF_STATIC = "/tf", "/tf_static"
_LEAD_NS = 1_000_000_000
"""After a clock was set back images may come so long before the first transform [ns]."""


class RecordedTransforms:
    """Transforms by the run that they belong to.

    A new run begins where stamps jump back: a simulator was reset, a bag was played in a loop. A
    node forgets the transforms of the old run there; the same times have others in the new one.
    """

    def __init__(self, bag: Bag, store: Typestore) -> None:
        """Read them all."""
        self.unreadable = 0
        """Messages that could not be decoded."""
        self._images = StreamOrder()
        self._run = 0
        static = [message for _, message in self._messages(bag, store, _TF_STATIC)]
        self._runs: list[tuple[int, TfBuffer]] = []
        """Time of the recording at which each begins [ns], and its transforms."""
        orders: dict[str, StreamOrder] = {}
        self._begin(0, static)
        for time_ns, message in self._messages(bag, store, _TF):
            stamps = {
                item.child_frame_id: stamp_nanoseconds(item.header.stamp)
                for item in message.transforms
            }
            follows = {
                child: orders.setdefault(child, StreamOrder()).follow(stamp_ns)
                for child, stamp_ns in stamps.items()
            }
            if Order.RESTART in follows.values():
                self._begin(time_ns, static)
                orders = {child: StreamOrder() for child in stamps}
                for child, stamp_ns in stamps.items():
                    orders[child].follow(stamp_ns)
            self._runs[-1][1].add(message)

    def image_comes(self, time_ns: int, stamp_ns: int) -> None:
        """Choose the run of the next image.

        Args:
            time_ns: of the recording [ns].
            stamp_ns: of the image [ns].
        """
        is_restart = self._images.follow(stamp_ns) is Order.RESTART
        until_ns = time_ns + _LEAD_NS if is_restart else time_ns
        begun = sum(start_ns <= until_ns for start_ns, _ in self._runs)
        self._run = max(self._run, begun - 1)

    def lookup(self, target: str, source: str, time_ns: int) -> NDArray[Any]:
        """As `TfBuffer.lookup`, in the run of the image."""
        return self._runs[self._run][1].lookup(target, source, time_ns)

    def _begin(self, time_ns: int, static: list[Any]) -> None:
        buffer = TfBuffer(cache_s=math.inf)
        for message in static:
            buffer.add(message, static=True)
        self._runs.append((time_ns, buffer))

    def _messages(self, bag: Bag, store: Typestore, name: str) -> Any:
        for topic, time_ns, raw in bag.messages([name]):
            try:
                yield time_ns, decode(store, raw, topic.kind)
            except ValueError:
                self.unreadable += 1
