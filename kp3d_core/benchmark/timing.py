"""Latency of a function."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_WARM_UP_RUNS = 3
_FEWEST_RUNS = 5


@dataclass(frozen=True)
class Latency:
    """How long one call takes."""

    p50_ms: float
    p99_ms: float
    runs: int


def measure(function: Callable[[], object], seconds: float) -> Latency:
    """Call a function for about `seconds`, at least five times, after calls that do not count.

    Slow functions are not warmed up more than once: one call of theirs is warm-up enough.
    """
    start = time.perf_counter()
    for _ in range(_WARM_UP_RUNS):
        function()
        if time.perf_counter() - start > seconds / 2:
            break
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _FEWEST_RUNS or time.perf_counter() < end:
        before = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - before))
    p50, p99 = np.percentile(times, (50, 99))
    return Latency(float(p50), float(p99), len(times))
