"""Why there is no result: the one place that knows, for the log and for /diagnostics.

It is fed with what happens, and measures pauses on a steady clock: simulated time may stand still.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from threading import Lock

from kp3d_core.inference import Detection, Model
from kp3d_ros.refusals import advice, certainty, describe
from kp3d_ros.settings import Settings

PATIENCE_S = 2.5
"""So long without a message or an object is worth a word [s]. Whoever sees nothing finds the reason
within five seconds: this, the period of the reports, and what discovery takes."""
_PAUSES = 3.0
"""A topic is silent after so many times the pause between its last two messages."""
AID = "docs/troubleshooting.md"


@dataclass(frozen=True)
class Reason:
    """Why there is no result, or not the one that was asked for."""

    kind: str
    """Reasons of one kind are one event, however their numbers change."""
    text: str
    is_fault: bool = True
    """Whether something is wrong; else it may well be as it should."""
    is_advice: bool = False
    """Whether it merely tells how results could be better."""


class Arrivals:
    """When messages came in on one topic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start to wait now."""
        self._clock = clock
        self._last_s = clock()
        self._pause_s = 0.0
        self.count = 0

    def note(self) -> None:
        """A message has come."""
        now_s = self._clock()
        self._pause_s = now_s - self._last_s if self.count else 0.0
        self._last_s = now_s
        self.count += 1

    @property
    def silence_s(self) -> float:
        """Time since the last message, or since waiting began [s]."""
        return self._clock() - self._last_s

    @property
    def are_overdue(self) -> bool:
        """Whether it is silent for longer than usual."""
        return self.silence_s > max(PATIENCE_S, _PAUSES * self._pause_s)

    @property
    def never_came(self) -> bool:
        """Whether it has been waited for in vain."""
        return not self.count and self.are_overdue


@dataclass(frozen=True)
class Situation:
    """What the node is doing at the moment."""

    settings: Settings
    arrivals: Mapping[str, Arrivals]
    """By the name of the input: image, camera_info, detections and, with `use_depth`, depth."""
    why: Callable[[str], str]
    """Says why nothing comes on an input."""
    is_published: Callable[[str], bool]
    """Whether anybody publishes on an input."""
    calibrated: bool = True
    """Whether a CameraInfo has ever come."""
    has_time: bool = True
    """False if the node goes by /clock, and nothing has come on it."""
    up_to_scale: bool = False
    """Whether all that is asked for is in metres, and nothing tells how long those are."""
    deaf: Collection[str] = ()
    """A sentence for each listener that cannot get what it asks for."""


@dataclass
class _Looks:
    """What was seen since the last image with an object."""

    since_s: float
    images: int = 0
    best: Detection | None = None
    model: Model | None = None


@dataclass
class _Ignored:
    """Why detections have been of no use, and since when."""

    since_s: float
    text: str = ""


class Watchdog:
    """Knows what came of the images; safe to feed and to ask from different threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without having seen anything."""
        self._clock = clock
        self._lock = Lock()
        self.restart()

    def restart(self) -> None:
        """The node starts to listen."""
        with self._lock:
            self._since_s = self._clock()
            self._looks = _Looks(self._since_s)
            self._ignored = _Ignored(self._since_s)
            self._answers = 0

    def note_answer(
        self, found: int, refused: Collection[tuple[Model, Detection]], ignored: str
    ) -> None:
        """An image has been looked at.

        Args:
            found: how many objects are in it.
            refused: models, and what they saw that was not accepted.
            ignored: why the newest detections were of no use; empty if there is no reason.
        """
        now_s = self._clock()
        with self._lock:
            self._answers += 1
            if found:
                self._looks = _Looks(now_s)
            self._looks.images += 1
            for model, detection in () if found else refused:
                if self._looks.best is None or certainty(detection) > certainty(self._looks.best):
                    self._looks.best, self._looks.model = detection, model
            if not ignored:
                self._ignored = _Ignored(now_s)
            self._ignored.text = ignored

    def reasons(self, now: Situation) -> Iterator[Reason]:
        """All reasons that hold, the one that most likely explains the others first."""
        with self._lock:
            looks, ignored = replace(self._looks), replace(self._ignored)
            answers, waited_s = self._answers, self._clock() - self._since_s
        now_s = self._clock()
        if not now.has_time and waited_s > PATIENCE_S:
            yield Reason(
                "no time",
                "'use_sim_time' is set, but no time comes on /clock: nothing can be dropped for "
                "its age, and latencies are not known. Start the simulator or `ros2 bag play "
                "--clock`, or set it to false.",
            )
        yield from _about_topics(now)
        are_ignored = bool(ignored.text) and now_s - ignored.since_s > PATIENCE_S
        if are_ignored:
            yield Reason("ignored detections", ignored.text, now.settings.detections_required)
        elif now.arrivals["detections"].never_came and now.is_published("detections"):
            yield Reason("no detections", f"No detections so far. {now.why('detections')}")
        are_missing = looks.images and now_s - looks.since_s > PATIENCE_S
        if are_missing and not now.arrivals["image"].are_overdue and not are_ignored:
            yield _about_objects(looks, now)
        if now.up_to_scale:
            yield Reason(
                "no metres",
                "Nobody listens to anything but poses, which are in metres by definition, and "
                "'object_size' is 0: they are not published. Set 'object_size' or 'use_depth', or "
                "take keypoints and TF, which say that they are up to scale.",
            )
        for text in now.deaf:
            yield Reason(f"deaf {text}", text)
        if answers and _searches_everywhere(now):
            yield Reason(
                "everywhere",
                "Neither detections nor 'region' say where to look: the whole image is searched. "
                "In front of plain backgrounds that works; in front of textures it misses objects "
                "and now and then takes a pattern for one. Publish detections, or set 'region'.",
                is_fault=False,
                is_advice=True,
            )


def _about_objects(looks: _Looks, now: Situation) -> Reason:
    """Why images came and nothing was found in them."""
    start = f"No object in the last {looks.images} images"
    if looks.best is not None and looks.model is not None:
        return Reason(
            "no object",
            f"{start}. {describe(looks.best, looks.model)} "
            f"{advice(looks.best, looks.model, now.settings)} More: {AID}.",
            is_fault=False,
        )
    boxes = now.arrivals["detections"]
    start = f"{start}: 'detections_required' is set, and"
    if boxes.never_came:
        return Reason("no boxes", f"{start} no detections came. {now.why('detections')}")
    if boxes.are_overdue:
        return Reason(
            "no boxes",
            f"{start} no detections came for {boxes.silence_s:.0f} s. {now.why('detections')}",
        )
    return Reason(
        "no boxes", f"{start} the 2D detector shows none that can be used.", is_fault=False
    )


def _about_topics(now: Situation) -> Iterator[Reason]:
    image, info = now.arrivals["image"], now.arrivals["camera_info"]
    if image.never_came:
        yield Reason("no image", f"No image so far. {now.why('image')}")
    elif image.are_overdue:
        yield Reason("no image", f"No image for {image.silence_s:.0f} s. {now.why('image')}")
    elif info.never_came and not now.calibrated:
        yield Reason(
            "no calibration",
            f"No CameraInfo so far: no keypoints without the calibration. {now.why('camera_info')}",
        )
    if "depth" in now.arrivals and now.arrivals["depth"].never_came and image.count:
        yield Reason(
            "no depth",
            f"No depth image so far, and 'use_depth' is set. {now.why('depth')}",
        )


def _searches_everywhere(now: Situation) -> bool:
    settings = now.settings
    has_region = any(settings.region) or settings.detections_required
    return not has_region and now.arrivals["detections"].never_came
