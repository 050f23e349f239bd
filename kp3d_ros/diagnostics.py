"""What the node tells about itself: once a second on /diagnostics, and problems in the log."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from threading import Lock

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

_PAUSE_S = 60.0
"""What lasts, or comes and goes, is logged this often at most [s]."""
_MAX_KINDS = 100


def kind_of(text: str) -> str:
    """The same for texts that differ in their numbers only."""
    return re.sub(r"[\d.]+", "#", text)


class Throttle:
    """Lets each kind of message through once in a while; safe to use from several threads."""

    def __init__(self) -> None:
        """Let everything through at first."""
        self._lock = Lock()
        self._last_s: dict[str, float] = {}

    def allows(self, kind: str, pause_s: float = _PAUSE_S) -> bool:
        """Whether a message of this kind may be logged now; counts as logged then.

        Args:
            kind: messages of one kind wait for each other.
            pause_s: time between two of them [s]; infinite: once only.
        """
        now_s = time.monotonic()
        with self._lock:
            if now_s - self._last_s.get(kind, -math.inf) < pause_s:
                return False
            if len(self._last_s) >= _MAX_KINDS:
                self._last_s.clear()
            self._last_s[kind] = now_s
            return True


class Statistics:
    """Counts images and times since the last report; safe to use from several threads."""

    def __init__(self) -> None:
        """Start at zero."""
        self._lock = Lock()
        self.received = self.processed = self.found = self.lost = 0
        self._unused: Counter[str] = Counter()
        self._reported = (0, 0, time.monotonic())
        self._times_s: dict[str, list[float]] = {}
        self._problem = ""

    def count_received(self) -> None:
        """An image has arrived."""
        with self._lock:
            self.received += 1

    def count_lost(self, count: int) -> None:
        """So many images were published and did not arrive."""
        with self._lock:
            self.lost += count

    def count_processed(
        self, duration_s: float, engine_s: float, latency_s: float | None, found: bool
    ) -> None:
        """An image has been processed.

        Args:
            duration_s: how long that took [s].
            engine_s: part of it that was spent in engine calls [s].
            latency_s: from its stamp until its results were published [s]; None if no clock tells.
            found: whether an object was in it.
        """
        with self._lock:
            self.processed += 1
            self.found += found
            for name, value_s in (
                ("processing time", duration_s),
                ("engine time", engine_s),
                ("latency", latency_s),
            ):
                if value_s is not None:
                    self._times_s.setdefault(name, []).append(value_s)

    def count_unused(self, reason: str) -> None:
        """An image has not been processed; `reason` is a word or two."""
        with self._lock:
            self._unused[reason] += 1

    def note_problem(self, text: str) -> None:
        """An image could not be used, or not as it should."""
        with self._lock:
            self._problem = text

    def report(self, facts: dict[str, str], dropped: int) -> tuple[str, dict[str, str]]:
        """Last problem since the last report, and all figures.

        The problem and the times start anew.

        Args:
            facts: come first among the figures.
            dropped: images that newer ones replaced before their turn came.
        """
        with self._lock:
            now_s = time.monotonic()
            received, processed, then_s = self._reported
            pause_s = max(now_s - then_s, 1e-6)
            rates = (
                (self.received - received) / pause_s,
                (self.processed - processed) / pause_s,
            )
            self._reported = self.received, self.processed, now_s
            times_s, self._times_s = self._times_s, {}
            problem, self._problem = self._problem, ""
            figures = {
                **facts,
                "images lost before they were received": str(self.lost),
                "images received": str(self.received),
                "images processed": str(self.processed),
                "images with the object": str(self.found),
                "images dropped for newer ones": str(dropped),
                **{f"images dropped, {key}": str(n) for key, n in sorted(self._unused.items())},
                "rate received [Hz]": f"{rates[0]:.1f}",
                "rate processed [Hz]": f"{rates[1]:.1f}",
            }
        for name, values_s in times_s.items():
            p50, p99 = np.percentile(values_s, [50, 99]) * 1e3
            figures[f"{name}, p50 [ms]"] = f"{p50:.2f}"
            figures[f"{name}, p99 [ms]"] = f"{p99:.2f}"
        return problem, figures


def status_message(
    header: Header, level: bytes, name: str, message: str, values: dict[str, str]
) -> DiagnosticArray:
    """One status in the form of /diagnostics."""
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    status = DiagnosticStatus(
        level=level, name=name, message=message, hardware_id=values.get("model", ""), values=pairs
    )
    return DiagnosticArray(header=header, status=[status])
