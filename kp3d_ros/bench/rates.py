"""The highest rate that is sustained, found by trials."""

from __future__ import annotations

from collections.abc import Callable

_PRECISION = 1.06
"""The search ends when the lowest rate that fails is at most this many times the best one."""


def highest_rate(
    sustained: Callable[[float], float | None], *, lowest_hz: float, highest_hz: float
) -> float:
    """Rate that was reached in the best trial, 0 if even the lowest one fails [Hz].

    Doubles the rate until a trial fails, then halves the interval. A trial that fails is repeated
    once, so that a single hiccup of the machine does not decide.

    Args:
        sustained: makes a trial at a rate [Hz]; returns the rate really reached, None if it failed.
        lowest_hz: first trial.
        highest_hz: is not exceeded.
    """
    best = asked = 0.0
    failed, rate = highest_hz * _PRECISION, lowest_hz
    while rate <= highest_hz and failed > asked * _PRECISION:
        reached = sustained(rate) or sustained(rate)
        if reached is None:
            failed = rate
        else:
            best, asked = max(best, reached), rate
        if asked == 0.0:
            return best
        is_bracketed = failed <= highest_hz
        rate = (asked * failed) ** 0.5 if is_bracketed else min(2 * asked, highest_hz)
        if not is_bracketed and asked >= highest_hz:
            break
    return best
