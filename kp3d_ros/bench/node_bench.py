"""Latency, overhead, highest rate, start and memory of the node, seen from outside."""

from __future__ import annotations

import functools
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kp3d_core.benchmark.baseline import begin
from kp3d_ros.bench.rates import highest_rate
from kp3d_ros.bench.settings import NodeBenchSettings
from kp3d_ros.demo import report
from kp3d_ros.demo.command import SEED
from kp3d_ros.demo.film import Film, shot
from kp3d_ros.demo.stream import (
    NodeProcess,
    SimulatedCamera,
    running_node,
    without_collections,
)
from kp3d_ros.demo.transport import configure_transport
from kp3d_ros.intake import Intake
from kp3d_ros.memory import reuse_large_buffers

MAX_LOSS = 0.05
"""Share of the images that may stay without an answer at a rate that counts as sustained."""
_IMAGES = 16
"""Of the film, which is played back and forth, so that the car never jumps."""
_SETTLE_S = 1.0
_START_TIMEOUT_S = 60.0
_LAST_ANSWER_S = 0.5


@dataclass(frozen=True)
class Trial:
    """What came of images at one rate."""

    sent: int
    received: int
    """Images that were answered."""
    with_object: int
    rate_hz: float
    """At which they were really sent."""
    latencies_ms: tuple[float, ...]
    """From the image's stamp until its keypoints were received, of each image answered."""
    engine_ms: float
    """Median time in engine calls per image, as the node reports it; NaN if it did not."""
    processing_ms: float
    """Median time between taking an image and the end of publishing its results, likewise."""


def car_film(size_wh: tuple[int, int]) -> Film:
    """A moving car in images of a size."""
    return shot(SEED, _IMAGES, 30.0, "studio", size_wh)


def bench_node(
    settings: NodeBenchSettings,
    on_progress: Callable[[str], None] = lambda what: None,
    make_film: Callable[[tuple[int, int]], Film] = car_film,
) -> dict[str, Any]:
    """Measure everything; the content of the JSON file.

    Raises:
        RuntimeError: the node ended or did not answer.
    """
    result = begin(
        "node",
        settings,
        threads=settings.threads,
        seconds=settings.baseline_s,
        on_progress=on_progress,
    )
    resolutions: dict[str, Any] = {}
    configure_transport()
    reuse_large_buffers()  # as a camera driver does
    with tempfile.TemporaryDirectory() as folder:
        for width, height in settings.resolutions:
            name = f"{width}x{height}"
            on_progress(f"{name}: rendering")
            film = make_film((width, height))
            with _rig(settings, film, Path(folder) / f"{name}.log") as rig:
                resolutions[name] = rig.measure(functools.partial(_at, name, on_progress))
                result["machine"] |= report.versions(rig.camera.recording)
                result |= rig.facts()
    result["resolutions"] = resolutions
    for figure in ("start_s", "rss_mb"):
        result[figure] = max(measured[figure] for measured in resolutions.values())
    return result


def _at(name: str, on_progress: Callable[[str], None], what: str) -> None:
    on_progress(f"{name}: {what}")


class _Rig:
    """The node in its own process, and a camera that listens to it."""

    def __init__(self, settings: NodeBenchSettings, film: Film, node: NodeProcess) -> None:
        self._settings = settings
        self._film = film
        self._node = node
        self.camera = SimulatedCamera(film, seed=0, poses=False)
        # An executor would need longer to take an answer than the node to publish it.
        self._intake = Intake(self.camera.context)
        self._intake.watch(list(self.camera.subscriptions))
        self._images = [self.camera.prepare(index) for index in range(len(film))]
        self._count = 0

    def measure(self, on_progress: Callable[[str], None]) -> dict[str, Any]:
        """All figures of one resolution."""
        settings = self._settings
        on_progress("start")
        start_s = self._wait_for_keypoints() - self._node.started_s
        self._play(settings.rate_hz, _SETTLE_S)
        on_progress(f"latency at {settings.rate_hz:g} Hz")
        steady = self._play(settings.rate_hz, settings.seconds)
        rss_mb = self._node.memory_mb()
        limits: list[str] = []

        def sustained(rate_hz: float) -> float | None:
            on_progress(f"{rate_hz:.0f} Hz")
            trial = self._play(rate_hz, settings.trial_s)
            reason = why_not_sustained(trial, rate_hz)
            if reason:
                limits.append(reason)
            return None if reason else trial.rate_hz

        max_rate_hz = highest_rate(
            sustained, lowest_hz=settings.rate_hz, highest_hz=settings.highest_rate_hz
        )
        return {
            **summary_of(steady),
            "max_rate_hz": max_rate_hz,
            "max_rate_limit": limits[-1] if limits else "the highest rate that was tried",
            "start_s": start_s,
            "rss_mb": max(rss_mb, self._node.memory_mb()),
        }

    def facts(self) -> dict[str, str]:
        """What the node runs with."""
        told = self.camera.recording.diagnostics
        return {key: told.get(key, "") for key in ("engine", "device", "precision")}

    def close(self) -> None:
        """Give the topics back."""
        self._intake.close()
        self.camera.destroy_node()

    def _wait_for_keypoints(self) -> float:
        """Send images as a camera does until the object is found; when that was [s]."""
        recording, deadline = self.camera.recording, time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            self._node.check_alive()
            self._publish(with_detection=True)
            end = time.monotonic() + 1 / self._settings.rate_hz
            while (left := end - time.monotonic()) > 0:
                self._intake.take(left)
                if any(message.instances for message in recording.keypoints.values()):
                    return time.monotonic()
        raise RuntimeError(
            f"The node found nothing within {_START_TIMEOUT_S:.0f} s. It printed: "
            f"{self._node.output() or 'nothing'}"
        )

    def _publish(self, with_detection: bool) -> None:
        """The next image: the film back and forth."""
        length = len(self._images)
        position = self._count % max(2 * length - 2, 1)
        index = min(position, 2 * length - 2 - position) if length > 1 else 0
        self._count += 1
        self.camera.publish(index, self._images[index], with_detection)

    def _play(self, rate_hz: float, seconds: float) -> Trial:
        """Send images at a rate for a time, then wait for the last answers."""
        recording = self.camera.recording
        self._spin(0.1)  # late answers to what was sent before
        for kept in (recording.sent, recording.received, recording.keypoints, recording.reports):
            kept.clear()
        count, detect_every = max(2, round(rate_hz * seconds)), max(1, round(rate_hz))
        with without_collections():
            start = time.monotonic()
            for index in range(count):
                self._spin(start + index / rate_hz - time.monotonic())
                self._publish(with_detection=index % detect_every == 0)
            duration_s = time.monotonic() - start
        self._spin(_LAST_ANSWER_S)
        self._node.check_alive()
        stamps = recording.sent.keys() & recording.received.keys()
        return Trial(
            sent=count,
            received=len(stamps),
            with_object=sum(bool(recording.keypoints[stamp].instances) for stamp in stamps),
            rate_hz=(count - 1) / (duration_s or math.inf),
            latencies_ms=tuple(1e-6 * (recording.received[s] - s) for s in sorted(stamps)),
            # The first report is about the time before the start, too.
            engine_ms=_reported(recording.reports[1:], "engine time"),
            processing_ms=_reported(recording.reports[1:], "processing time"),
        )

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._intake.take(left)


def _reported(reports: list[dict[str, str]], name: str) -> float:
    """Median over the node's reports of a median in each [ms]."""
    key = f"{name}, p50 [ms]"
    medians = [float(report[key]) for report in reports if key in report]
    return float(np.median(medians)) if medians else math.nan


def summary_of(trial: Trial) -> dict[str, float]:
    """Figures of a trial.

    The overhead is the median latency without the median engine time: it holds the transport of
    image and keypoints, too. `own_ms_p50` is the part of it that the node's own work takes.
    """
    p50, p99 = np.percentile(trial.latencies_ms or [math.nan], [50, 99]).tolist()
    return {
        "rate_hz": trial.rate_hz,
        "overhead_ms_p50": p50 - trial.engine_ms,
        "own_ms_p50": trial.processing_ms - trial.engine_ms,
        "engine_ms_p50": trial.engine_ms,
        "latency_ms_p50": p50,
        "latency_ms_p99": p99,
        "frames_in": trial.sent,
        "frames_processed": trial.received,
        "frames_with_object": trial.with_object,
    }


def why_not_sustained(trial: Trial, rate_hz: float) -> str:
    """What kept a rate from being sustained; empty if nothing did."""
    if trial.received < (1 - MAX_LOSS) * trial.sent:
        return "the node lost images"
    if trial.rate_hz < (1 - MAX_LOSS) * rate_hz:
        return "the simulated camera could not send faster"
    return ""


@contextmanager
def _rig(settings: NodeBenchSettings, film: Film, log: Path) -> Iterator[_Rig]:
    parameters = {
        "engine": settings.engine,
        "device": settings.device,
        "precision": settings.precision,
        "threads": settings.threads,
    }
    with (
        running_node(settings.model, log, **parameters) as node,
        closing(_Rig(settings, film, node)) as rig,
    ):
        yield rig
