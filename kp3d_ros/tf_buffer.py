"""The tree of transforms that others publish, and transforms between any two frames at a time.

tf2's own buffer has no Python binding outside a ROS installation; this one works for bags and the
PyPI wheels as well.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition
from time import monotonic
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.rotation import exp_rotation, invert_transform
from kp3d_core.inference import Order, StreamOrder
from kp3d_ros.headers import stamp_nanoseconds
from kp3d_ros.rotations import rotation_of

if TYPE_CHECKING:
    from geometry_msgs.msg import TransformStamped
    from tf2_msgs.msg import TFMessage

FloatArray = NDArray[np.float64]

CACHE_S = 10.0
"""How far back transforms are kept [s]; as long as tf2 does."""
_MAX_FRAMES = 10_000
_MAX_DEPTH = 200
_MISSES = 3
"""After so many times in a row in which the wait for two frames was in vain nobody waits for them
any more: images would be late for nothing."""
_SHOWN = 20
"""So many frames are named in a text."""


@dataclass
class _Edge:
    """Transforms from one frame to its parent, in order of time."""

    parent: str
    is_static: bool
    cache_s: float
    times_ns: list[int] = field(default_factory=list)
    transforms: list[FloatArray] = field(default_factory=list)
    order: StreamOrder = field(default_factory=StreamOrder)

    def clear(self) -> None:
        self.times_ns.clear()
        self.transforms.clear()
        self.order = StreamOrder()

    def add(self, time_ns: int, T: FloatArray) -> None:
        if self.is_static:
            self.times_ns, self.transforms = [time_ns], [T]  # the last to come, whatever its stamp
            return
        at = bisect.bisect_left(self.times_ns, time_ns)
        if at < len(self.times_ns) and self.times_ns[at] == time_ns:
            self.transforms[at] = T
            return
        self.times_ns.insert(at, time_ns)
        self.transforms.insert(at, T)
        old = bisect.bisect_left(self.times_ns, self.times_ns[-1] - self.cache_s * 1e9)
        del self.times_ns[:old], self.transforms[:old]

    def known(self) -> str:
        """The times that are known, in words."""
        if not self.times_ns:
            return "nothing yet since time was set back"
        return f"from {self.times_ns[0] * 1e-9:.3f} to {self.times_ns[-1] * 1e-9:.3f} s"

    def at(self, time_ns: int) -> FloatArray | None:
        """`T_parent_child`, interpolated; None outside the times that are known."""
        if self.is_static:
            return self.transforms[-1]
        i = bisect.bisect_left(self.times_ns, time_ns)
        if i == len(self.times_ns) or (i == 0 and self.times_ns[0] != time_ns):
            return None
        if self.times_ns[i] == time_ns:
            return self.transforms[i]
        part = (time_ns - self.times_ns[i - 1]) / (self.times_ns[i] - self.times_ns[i - 1])
        return _between(self.transforms[i - 1], self.transforms[i], part)


@dataclass
class _Patience:
    """Whether it is worth to wait for a transform between two frames."""

    misses: int = 0
    """Lookups in a row that got none."""
    asked_ns: int = 0
    """Time of the transform that was asked for last, and missed [ns]."""
    until_s: float = -math.inf
    """Until when whoever asked would have waited for it [s]."""


class TfBuffer:
    """Holds the messages of /tf and /tf_static; safe to fill and to ask from different threads.

    Stamps of one transform that go back clear it, too: recordings are played without a clock.
    """

    def __init__(self, cache_s: float = CACHE_S) -> None:
        """Start without frames.

        Args:
            cache_s: how far back transforms are kept [s]; infinite: those of a recording are
                handed in ahead, all of them.
        """
        self._cache_s = cache_s
        self._edges: dict[str, _Edge] = {}
        self._faults: dict[str, str] = {}
        """By child frame: why the last transform to its parent was left out."""
        self._patience: dict[tuple[str, str], _Patience] = {}
        """By the two frames that were asked for."""
        self._changed = Condition()

    def add(self, message: TFMessage, *, static: bool = False) -> None:
        """Take in a message of /tf, or of /tf_static; transforms that are none are left out."""
        with self._changed:
            for item in message.transforms:
                self._add(item, static)
            self._learn()
            self._changed.notify_all()

    def clear(self) -> None:
        """The clock was set back: forget everything but what is static, as tf2 does."""
        with self._changed:
            self._clear()

    def lookup(self, target: str, source: str, time_ns: int, timeout_s: float = 0.0) -> FloatArray:
        """`T_target_source` at a time, shape (4, 4).

        Args:
            target: frame of the result's coordinates.
            source: frame of the given coordinates.
            time_ns: time of the transform [ns].
            timeout_s: how long to wait for it to come in [s]; not waited where it never came in
                that time of late.

        Raises:
            ValueError: a frame is not known, the two are not connected, or not at that time.
        """
        with self._changed:
            if len(self._patience) > _SHOWN:  # frame names that change all the time
                self._patience.clear()
            patience = self._patience.setdefault((target, source), _Patience())
            until_s = monotonic() + timeout_s
            end_s = until_s if patience.misses < _MISSES else -math.inf
            while True:
                try:
                    T = self._lookup(target, source, time_ns)
                except ValueError:
                    left_s = end_s - monotonic()
                    if left_s <= 0 or not self._changed.wait(left_s):
                        patience.misses += 1
                        patience.asked_ns, patience.until_s = time_ns, until_s
                        raise
                else:
                    patience.misses = 0
                    return T

    def _learn(self) -> None:
        """What comes while nobody waits any more, and would have come in time, is worth a wait."""
        now_s = monotonic()
        for (target, source), patience in self._patience.items():
            if patience.misses >= _MISSES and now_s < patience.until_s:
                with suppress(ValueError):
                    self._lookup(target, source, patience.asked_ns)
                    patience.misses = 0

    def _add(self, item: TransformStamped, static: bool) -> None:
        t, q = item.transform.translation, item.transform.rotation
        quat_xyzw = np.array([q.x, q.y, q.z, q.w], np.float64)
        T = np.eye(4)
        T[:3, 3] = t.x, t.y, t.z
        child, parent = item.child_frame_id.lstrip("/"), item.header.frame_id.lstrip("/")
        self._faults.pop(child, None)
        if fault := _fault(child, parent, T[:3, 3], quat_xyzw):
            if len(self._faults) >= _MAX_FRAMES:
                self._faults.clear()
            self._faults[child] = (
                f"The transform of '{child}' in '{parent}' was left out: {fault}. Mend its "
                "publisher."
            )
            return
        if child not in self._edges and len(self._edges) >= _MAX_FRAMES:
            return
        T[:3, :3] = rotation_of(quat_xyzw / np.linalg.norm(quat_xyzw))
        edge = self._edges.get(child)
        if edge is None or edge.parent != parent or edge.is_static != static:
            edge = self._edges[child] = _Edge(parent, static, self._cache_s)
        time_ns = stamp_nanoseconds(item.header.stamp)
        is_restart = edge.order.follow(time_ns) is Order.RESTART
        if is_restart and not static and math.isfinite(self._cache_s):
            self._clear()
            edge.order.follow(time_ns)
        edge.add(time_ns, T)

    def _clear(self) -> None:
        for edge in self._edges.values():
            if not edge.is_static:
                edge.clear()

    def _lookup(self, target: str, source: str, time_ns: int) -> FloatArray:
        up_from_target = self._chain(target.lstrip("/"))
        up_from_source = self._chain(source.lstrip("/"))
        common = next((frame for frame in up_from_source if frame in up_from_target), None)
        # Of all that was left out only what these two need is of interest.
        faults = [self._faults[f] for f in (*up_from_source, *up_from_target) if f in self._faults]
        if common is None:
            start = f"TF frames '{target}' and '{source}' must be connected, and they are not."
            raise ValueError(f"{start} {' '.join(faults) or self._known()}")

        def to_common(chain: list[str]) -> FloatArray:
            T = np.eye(4)
            for frame in chain[: chain.index(common)]:
                step = self._edges[frame].at(time_ns)
                if step is None:
                    edge = self._edges[frame]
                    advice = self._faults.get(frame, "Raise 'tf_timeout', or check the clocks.")
                    raise ValueError(
                        f"TF must know '{frame}' in '{edge.parent}' at {time_ns * 1e-9:.3f} s, it "
                        f"knows {edge.known()}. {advice}"
                    )
                T = step @ T
            return T

        return invert_transform(to_common(up_from_target)) @ to_common(up_from_source)

    def _known(self) -> str:
        """What frames there are, and what to do if one is missing."""
        frames = sorted({*self._edges, *(edge.parent for edge in self._edges.values())})
        if not frames:
            return (
                "No transform at all has come on /tf or /tf_static. Start what publishes them, for "
                "example robot_state_publisher, odometry or static_transform_publisher."
            )
        more = ", ..." if len(frames) > _SHOWN else ""
        return (
            f"Known frames: {', '.join(frames[:_SHOWN])}{more}. Check the names, and that their "
            "publishers run."
        )

    def _chain(self, frame: str) -> list[str]:
        chain = [frame]
        while chain[-1] in self._edges and len(chain) < _MAX_DEPTH:
            chain.append(self._edges[chain[-1]].parent)
        return chain


def _fault(child: str, parent: str, t: FloatArray, quat_xyzw: FloatArray) -> str:
    """Why a transform is none; empty if it is one."""
    if not (child and parent):
        return "both frames must have a name"
    if child == parent:
        return "a frame cannot be its own parent"
    if not np.isfinite(t).all():
        return f"its translation must be finite, got {_listed(t)}"
    length = float(np.linalg.norm(quat_xyzw))
    if not 0.5 < length < np.inf:  # one that is merely a little off is normalised
        return f"its quaternion x, y, z, w must have length 1, got {_listed(quat_xyzw)}"
    return ""


def _listed(values: FloatArray) -> str:
    return ", ".join(f"{value:g}" for value in values)


Lookup = Callable[[str, str, int], FloatArray]
"""`lookup(target, source, time_ns)` gives `T_target_source`; ValueError if it is not known."""


def _between(T_a: FloatArray, T_b: FloatArray, part: float) -> FloatArray:
    """Transform on the way from one to another: straight line, even rotation."""
    turn = cv2.Rodrigues(T_b[:3, :3] @ T_a[:3, :3].T)[0].ravel()
    T = np.eye(4)
    T[:3, :3] = exp_rotation(np.asarray(turn * part, np.float64)) @ T_a[:3, :3]
    T[:3, 3] = (1 - part) * T_a[:3, 3] + part * T_b[:3, 3]
    return T
