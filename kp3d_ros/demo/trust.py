"""Can a robot rely on the node? Hostile messages, a long run, and too many images.

    python -m kp3d_ros.demo.trust fuzz --count 10000
    python -m kp3d_ros.demo.trust soak --minutes 30
    python -m kp3d_ros.demo.trust overload --rate 200

Each starts the real node, prints what it measured and ends with status 1 if a bound is broken.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from kp3d_ros.demo import stream
from kp3d_ros.demo.fuzz import fuzz
from kp3d_ros.demo.rig import Rig, Verdict, rig_with

MAX_GROWTH = 0.01
"""Largest growth of the node's memory in a soak, as a fraction."""
LATENCY_IN_RUNS = 2.0
"""Under overload an image waits for the one in work, then for its own turn."""
_BURSTS = 5
"""After so many, further ones add a thousandth of the memory or nothing."""


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
