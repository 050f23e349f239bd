"""What the node tells about itself: once a second on /diagnostics, and problems in the log."""

from __future__ import annotations

import math
import time
from threading import Lock

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

_PAUSE_S = 5.0
_MAX_KINDS = 100


class Throttle:
    """Lets each kind of message through once in five seconds, whatever the others do."""

    def __init__(self) -> None:
        """Let everything through at first."""
        self._last_s: dict[str, float] = {}

    def allows(self, kind: str) -> bool:
        """Whether a message of this kind may be logged now; counts as logged then."""
        now_s = time.monotonic()
        if now_s - self._last_s.get(kind, -math.inf) < _PAUSE_S:
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
        self.received = self.processed = self.found = 0
        self._reported_processed = 0
        self._durations_s: list[float] = []
        self._problem = ""

    def count_received(self) -> None:
        """An image has arrived."""
        with self._lock:
            self.received += 1

    def count_processed(self, duration_s: float, found: bool) -> None:
        """An image has been processed: how long that took, and whether the object was in it."""
        with self._lock:
            self.processed += 1
            self.found += found
            self._durations_s.append(duration_s)

    def note_problem(self, text: str) -> None:
        """An image could not be used."""
        with self._lock:
            self._problem = text

    def report(
        self, header: Header, name: str, hardware_id: str, facts: dict[str, str], dropped: int
    ) -> DiagnosticArray:
        """Status message; the problem and the times start anew."""
        with self._lock:
            processed, self._reported_processed = (
                self.processed - self._reported_processed,
                self.processed,
            )
            durations_s, self._durations_s = self._durations_s, []
            problem, self._problem = self._problem, ""
            counts = {
                "images received": str(self.received),
                "images processed": str(self.processed),
                "images dropped for newer ones": str(dropped),
                "images with the object": str(self.found),
            }
        if durations_s:
            mean_s = sum(durations_s) / len(durations_s)
            counts["processing time, mean [ms]"] = f"{1e3 * mean_s:.1f}"
            counts["processing time, longest [ms]"] = f"{1e3 * max(durations_s):.1f}"
        level, message = DiagnosticStatus.OK, "running"
        if problem:
            level, message = DiagnosticStatus.ERROR, problem
        elif not processed:
            level, message = DiagnosticStatus.WARN, "no images"
        values = [KeyValue(key=key, value=value) for key, value in {**facts, **counts}.items()]
        status = DiagnosticStatus(
            level=level, name=name, message=message, hardware_id=hardware_id, values=values
        )
        return DiagnosticArray(header=header, status=[status])
