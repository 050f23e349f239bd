"""Can a robot rely on the node? Hostile messages, a long run, and too many images.

    python -m kp3d_ros.demo.trust fuzz --count 10000
    python -m kp3d_ros.demo.trust soak --minutes 30
    python -m kp3d_ros.demo.trust overload --rate 200

Each starts the real node, prints what it measured and ends with status 1 if a bound is broken.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from kp3d_ros.demo import stream
from kp3d_ros.demo.command import SEED
from kp3d_ros.demo.film import Film, shot
from kp3d_ros.demo.stream import NAMESPACE, NodeProcess, SimulatedCamera, running_node
from kp3d_ros.demo.transport import configure_transport
from kp3d_ros.msg import Keypoints3DArray

MAX_GROWTH = 0.01
"""Largest growth of the node's memory in a soak, as a fraction."""
LATENCY_IN_RUNS = 2.0
"""Under overload an image waits for the one in work, then for its own turn."""
_ANSWER_TIMEOUT_S = 60.0
_GOOD_EVERY = 50
_BURSTS = 5
"""After so many, further ones add a thousandth of the memory or nothing."""
_ABSENT = {"covariance", "model_unit_m", "orientation_score"}
"""Fields in which NaN is said to mean "not known"."""


@dataclass
class Verdict:
    """What was measured, and which bounds were broken."""

    figures: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


class Rig:
    """The node, a simulated camera with a few images of a car, and a listener to all results."""

    def __init__(self, node: NodeProcess, film: Film) -> None:
        """Open the topics and wait for the node."""
        self.node = node
        self.camera = SimulatedCamera(film, seed=0)
        self.film = film
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.camera)
        self.not_finite: list[str] = []
        create = self.camera.create_publisher
        sensor = qos_profile_sensor_data
        self.compressed = create(CompressedImage, f"{NAMESPACE}/image/compressed", sensor)
        self.tf = create(TFMessage, "/tf", QoSProfile(depth=100))
        for kind, topic in (
            (Keypoints3DArray, f"{NAMESPACE}/detector/keypoints"),
            (PoseWithCovarianceStamped, f"{NAMESPACE}/detector/pose"),
            (PoseWithCovarianceStamped, f"{NAMESPACE}/detector/relative_pose"),
            (Detection3DArray, f"{NAMESPACE}/detector/detections_3d"),
            (MarkerArray, f"{NAMESPACE}/detector/markers"),
        ):
            self.camera.create_subscription(kind, topic, self._check, 10)
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        while not self.camera.is_connected():
            node.check_alive()
            self.spin(0.1)
            if time.monotonic() > deadline:
                raise RuntimeError(f"The node did not answer. It printed: {node.output()}")

    def spin(self, seconds: float) -> None:
        """Let messages come in."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def send_good(self, index: int) -> int:
        """Publish a good image with calibration and box; returns its stamp."""
        index %= len(self.film)
        self.camera.publish(index, self.camera.prepare(index), with_detection=True)
        return next(reversed(self.camera.recording.sent))

    def answered_well(self, seconds: float = _ANSWER_TIMEOUT_S) -> bool:
        """Whether good images are answered with an object again within a time."""
        end, recording = time.monotonic() + seconds, self.camera.recording
        first = 0
        while time.monotonic() < end:
            self.node.check_alive()
            first = first or self.send_good(0)
            self.send_good(0)
            self.spin(0.1)
            answers = [m for stamp, m in recording.keypoints.items() if stamp >= first]
            if any(message.instances for message in answers):
                return True
        return False

    def close(self) -> None:
        """Give the topics back."""
        self.executor.shutdown()
        self.camera.destroy_node()

    def _check(self, message: Any) -> None:
        self.not_finite += list(not_finite(message))


def not_finite(message: Any, name: str = "") -> Iterator[str]:
    """Names of the fields of a message that hold infinite numbers, or NaN without a meaning."""
    if isinstance(message, float):
        if math.isinf(message) or (math.isnan(message) and name not in _ABSENT):
            yield name
    elif isinstance(message, np.ndarray):
        if message.dtype.kind == "f" and not np.isfinite(message).all():
            yield name
    elif hasattr(message, "get_fields_and_field_types"):
        for field_name in message.get_fields_and_field_types():
            yield from not_finite(getattr(message, field_name), field_name)
    elif isinstance(message, (list, tuple)):
        for item in message:
            yield from not_finite(item, name)


def fuzz(rig: Rig, count: int) -> Verdict:
    """Send hostile messages of all kinds; every now and then a good image must be answered."""
    from kp3d_ros.demo import hostile

    verdict = Verdict()
    good = rig.camera.prepare(0)
    publishers = {
        "Image": rig.camera.images,
        "CameraInfo": rig.camera.infos,
        "Detection2DArray": rig.camera.detections,
        "CompressedImage": rig.compressed,
        "TFMessage": rig.tf,
    }
    sent = dict.fromkeys(publishers, 0)

    def use(message: Any) -> None:
        kind = type(message).__name__
        publishers[kind].publish(message)
        sent[kind] += 1
        rig.spin(0.002)
        if sum(sent.values()) % _GOOD_EVERY == 0 and not rig.answered_well():
            verdict.broken.append(f"no answer after {sum(sent.values())} messages")
            raise StopIteration

    try:
        hostile.for_each(hostile.hostile_messages(good), count, use)
    except StopIteration:
        pass
    if not rig.answered_well():
        verdict.broken.append("no answer at the end")
    if rig.not_finite:
        verdict.broken.append(f"published what is not finite: {sorted(set(rig.not_finite))}")
    if "by a bug" in rig.node.output(everything=True):
        verdict.broken.append("the node has met a bug, see its log")
    verdict.figures = {"messages": sum(sent.values()), **sent}
    return verdict


def soak(rig: Rig, minutes: float, rate_hz: float) -> Verdict:
    """Send images at the rate of a camera: none may get lost, and memory must not grow."""
    recording, memory_mb = rig.camera.recording, []
    count = round(minutes * 60 * rate_hz)
    first = count // 5  # until then caches fill
    messages = [rig.camera.prepare(i) for i in range(len(rig.film))]
    _fill_buffers(rig, messages)
    sent = answered = 0
    start = time.monotonic()
    for i in range(count):
        rig.spin(max(0.0, start + i / rate_hz - time.monotonic()))
        rig.camera.publish(
            i % len(messages), messages[i % len(messages)], with_detection=i % 30 == 0
        )
        sent += 1
        if i % 300 == 299 or i == first:
            rig.spin(0.0)
            answered += _forget(recording)
            rig.node.check_alive()
            if i >= first:
                memory_mb.append(rig.node.memory_mb())
    rig.spin(2.0)
    answered += _forget(recording)
    memory_mb.append(rig.node.memory_mb())
    # The median of the last tenth against that of the first, so that one odd reading says nothing.
    part = max(1, len(memory_mb) // 10)
    growth = float(np.median(memory_mb[-part:]) / np.median(memory_mb[:part]) - 1)
    told = recording.diagnostics
    verdict = Verdict({
        "images sent": sent,
        "images answered": answered,
        # Where lost ones were lost: on the way to the node, or waiting for it.
        **{key: told.get(key, "") for key in ("images received", "images dropped for newer ones")},
        "memory, ten readings [MB]": [
            round(memory_mb[round(i)], 1) for i in np.linspace(0, len(memory_mb) - 1, 10)
        ],
        "growth [%]": round(100 * growth, 2),
    })  # fmt: skip
    if answered < sent:
        verdict.broken.append(f"{sent - answered} images were lost")
    if growth > MAX_GROWTH:
        verdict.broken.append(f"memory grew by {growth:.1%}, more than {MAX_GROWTH:.0%}")
    return verdict


def _fill_buffers(rig: Rig, messages: list[Any]) -> None:
    """Send images without a pause, so that as many wait in the node and its middleware as ever can.

    Buffers are kept for the next time. Otherwise each would be made at some later moment, when the
    machine happens to stall for as long, and look like a leak of one image.
    """
    for _ in range(_BURSTS):
        for i in range(len(messages)):
            rig.camera.publish(i, messages[i], with_detection=i == 0)
        rig.spin(1.0)
    rig.camera.recording.sent.clear()
    _forget(rig.camera.recording)


def overload(rig: Rig, rate_hz: float, seconds: float) -> Verdict:
    """Send more images than can be processed: what is answered must be answered at once."""
    recording = rig.camera.recording
    messages = [rig.camera.prepare(i) for i in range(len(rig.film))]
    start, i = time.monotonic(), 0
    box_every = max(1, round(rate_hz * stream.DETECTION_PERIOD_S))
    while time.monotonic() < start + seconds:
        rig.spin(max(0.0, start + i / rate_hz - time.monotonic()))
        # Without a box there is nothing to look at, and nothing would be heavy about it.
        with_box = i % box_every == 0
        rig.camera.publish(i % len(messages), messages[i % len(messages)], with_detection=with_box)
        i += 1
    # That of the last second; later reports are about no images.
    run_ms = float(recording.diagnostics.get("processing time, p99 [ms]", "nan"))
    rig.spin(2.0)
    sent = [stamp for stamp in recording.sent if stamp >= min(recording.received)]
    latencies_ms = 1e-6 * np.array([recording.received[s] - s for s in recording.received])
    p50, p99 = np.percentile(latencies_ms, [50, 99])
    found = sum(bool(message.instances) for message in recording.keypoints.values())
    verdict = Verdict({
        "images sent": i,
        "rate sent [Hz]": round(i / seconds, 1),
        "images answered": len(recording.received),
        "images with the object": found,
        "images sent after the last one answered": sum(s > max(recording.received) for s in sent),
        "latency, p50 [ms]": round(float(p50), 1),
        "latency, p99 [ms]": round(float(p99), 1),
        "processing time, p99 [ms]": run_ms,
    })  # fmt: skip
    if found < 0.9 * len(recording.received):
        verdict.broken.append(f"the object was found in {found} images only")
    if not p50 < LATENCY_IN_RUNS * run_ms:
        verdict.broken.append(
            f"the median latency of {p50:.1f} ms is over {LATENCY_IN_RUNS:g} x {run_ms:.1f} ms"
        )
    return verdict


def _forget(recording: stream.Recording) -> int:
    """Number of images answered since the last call; forgets them, so that we do not grow."""
    answered = len(recording.received)
    for kept in (
        recording.received,
        recording.keypoints,
        recording.poses,
        recording.relative_poses,
        recording.transforms,
    ):
        kept.clear()
    return answered


@contextmanager
def rig_with(model: str, log: Path, images: int = 12, **parameters: Any) -> Iterator[Rig]:
    """A running node with a rig around it."""
    configure_transport()
    film = shot(SEED, images, 12.0, "black")
    with running_node(model, log, **parameters) as node, closing(Rig(node, film)) as rig:
        # A collection of everything takes 100 ms, in which a camera of 30 Hz would send nothing and
        # then three images at once: lost ones would be its fault.
        gc.collect()
        gc.freeze()
        try:
            yield rig
        finally:
            gc.unfreeze()


def main(arguments: list[str] | None = None) -> int:
    """Run one of the tests; the result is the exit status."""
    options = _parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(options.log or Path(folder) / "node.log")
        with rig_with(options.model, log) as rig:
            if options.test == "fuzz":
                verdict = fuzz(rig, options.count)
            elif options.test == "soak":
                verdict = soak(rig, options.minutes, options.rate)
            else:
                verdict = overload(rig, options.rate, 60 * options.minutes)
    print(json.dumps({"test": options.test, **verdict.figures, "broken": verdict.broken}, indent=2))
    return 1 if verdict.broken else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kp3d_ros.demo.trust", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--model", default="car", help="model file, or name of a shipped model")
    parser.add_argument("--log", help="file for the node's output")
    tests = parser.add_subparsers(dest="test", required=True)
    each = tests.add_parser("fuzz", help=(fuzz.__doc__ or "").strip())
    each.add_argument("--count", type=int, default=10_000, help="messages")
    for test, minutes, rate in ((soak, 30.0, 30.0), (overload, 0.5, 200.0)):
        each = tests.add_parser(test.__name__, help=(test.__doc__ or "").strip())
        each.add_argument("--minutes", type=float, default=minutes, help="length")
        each.add_argument("--rate", type=float, default=rate, help="images per second [Hz]")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
