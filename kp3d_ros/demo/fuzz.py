"""Hostile messages and disorder over the wire: the node lives, and tracked objects are answered."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import strategies as st

from kp3d_ros.demo import hostile
from kp3d_ros.demo.disorder import Disorder, Moment, disorders
from kp3d_ros.demo.rig import Rig, Verdict
from kp3d_ros.headers import stamp_nanoseconds

_CHECK_EVERY = 10
"""Hostile messages between two looks at whether the object is still followed."""
_TRACKED_TIMEOUT_S = 10.0


def fuzz(rig: Rig, count: int) -> Verdict:
    """Send hostile messages and disorder of all kinds; tracked objects must still be answered."""
    run = _Fuzz(rig)
    good = rig.camera.prepare(0)
    kinds = {False: hostile.hostile_messages(good), True: disorders()}
    strategy = st.booleans().flatmap(kinds.__getitem__)
    try:
        run.find()
        hostile.for_each(strategy, count, run.use)
        run.check()
    except _BrokenError as error:
        run.verdict.broken.append(str(error))
    if rig.not_finite:
        run.verdict.broken.append(f"published what is not finite: {sorted(set(rig.not_finite))}")
    if "by a bug" in rig.node.output(everything=True):
        run.verdict.broken.append("the node has met a bug, see its log")
    run.verdict.figures = {
        "messages": sum(run.sent.values()),
        **run.sent,
        "disorder": dict(run.disorder),
        "looks without a box": run.looks,
        "identities": run.identities,
    }
    return run.verdict


class _BrokenError(Exception):
    """A bound is broken: the rest of the run says nothing."""


class _Fuzz:
    """A followed object, and what has happened since it was seen last."""

    def __init__(self, rig: Rig) -> None:
        """Start with an object that is not found yet."""
        self.verdict = Verdict()
        camera = rig.camera
        self._publishers = {
            "Image": camera.images,
            "CameraInfo": camera.infos,
            "Detection2DArray": camera.detections,
            "CompressedImage": rig.compressed,
            "TFMessage": rig.tf,
        }
        self.sent = dict.fromkeys(self._publishers, 0)
        self.disorder: Counter[str] = Counter()
        self.looks = self.identities = 0
        self._rig = rig
        self._image = camera.prepare(0)
        self._identity = ""
        self._stamp_ns = 0
        self._own_stamps: set[int] = set()
        self._keeps_objects = True
        self._pending = 0
        self._last = ""

    def use(self, item: Any) -> None:
        """Let something happen; every now and then look what came of it."""
        self._last = str(item)[:500]
        if isinstance(item, Disorder):
            self.disorder[item.name] += 1
            moment = Moment(self._image, self._rig.camera.calibration, self._stamp_ns)
            messages = item.messages(moment)
            self._keeps_objects &= item.keeps_objects
            if item.keeps_objects:
                headers = [message.header for message in messages if hasattr(message, "header")]
                self._own_stamps.update(stamp_nanoseconds(header.stamp) for header in headers)
        else:
            messages = [item]
        for message in messages:
            kind = type(message).__name__
            self._publishers[kind].publish(message)
            self.sent[kind] += 1
            self._rig.spin(0.002)
        self._pending += 1
        if isinstance(item, Disorder) or self._pending >= _CHECK_EVERY:
            self.check()

    def check(self) -> None:
        """Look whether the object is followed: without a box, and as the one that it was."""
        self._pending = 0
        before = self._identity
        if self._keeps_objects:
            found = self._look(with_detection=False)
            strangers = set(self._rig.camera.recording.keypoints) - self._own_stamps
            if not strangers:
                if found != before:
                    raise _BrokenError(
                        f"'{before}' was followed and is answered as '{found or 'nothing'}', after "
                        f"{sum(self.sent.values())} messages; the last was {self._last}"
                    )
                self._forget()
                return
        # A stranger was answered or the camera was another one: then objects may be others.
        self.find()

    def find(self) -> None:
        """Find the object with the help of a box."""
        found = self._look(with_detection=True)
        if not found:
            raise _BrokenError(f"no answer after {sum(self.sent.values())} messages")
        self.identities += found != self._identity
        self._identity = found
        self._forget()

    def _look(self, *, with_detection: bool) -> str:
        """Identity of the object in the first good image in which it is found; empty if in none."""
        found, stamps = self._rig.look(with_detection, _TRACKED_TIMEOUT_S)
        self.looks += not with_detection
        self._own_stamps.update(stamps)
        self._stamp_ns = max(stamps)
        return found

    def _forget(self) -> None:
        self._keeps_objects = True
        self._own_stamps.clear()
        self._rig.camera.recording.keypoints.clear()
