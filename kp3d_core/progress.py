"""How work that takes a while tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""Told (what is done, how much of it, of how much)."""


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def part_of(report: Report, what: str, total: int) -> Callable[[int], None]:
    """Report of one part of the work, to be told how much of it is done."""
    return lambda done: report(what, done, total)
