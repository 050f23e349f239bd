"""The doctor's report, in text; of packages it needs only what the node needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kp3d_ros.doctor import machine, middleware
from kp3d_ros.doctor.finding import Finding, State

SECONDS = 4.0
"""How long to look at a running system unless told otherwise [s]."""
_COLOURS = {State.OK: 32, State.NOTE: 33, State.PROBLEM: 31}
"""As terminals number them."""


def print_report(models: Iterable[str], seconds: float, *, coloured: bool) -> int:
    """Print all that can be found out; returns how many problems there are.

    Args:
        models: names or files of models besides the shipped ones.
        seconds: how long to look at running topics [s]; 0: not at all.
        coloured: whether the terminal can show colours.
    """
    count = 0
    for title, findings in _sections(models, seconds):
        print(f"\n{title}")
        for finding in findings:
            count += finding.state is State.PROBLEM
            print(_line(finding, coloured), flush=True)
    print(f"\n{count} problem{'' if count == 1 else 's'}.")
    return count


def _sections(models: Iterable[str], seconds: float) -> Iterator[tuple[str, Iterable[Finding]]]:
    yield "Machine", machine.machine()
    yield "Engines", machine.engines()
    yield "Models", machine.models(models)
    ros = list(middleware.ros())
    yield "ROS 2", ros
    if any(finding.state is not State.OK for finding in ros):
        return
    yield "Middleware", middleware.middleware()
    if seconds > 0:
        from kp3d_ros.doctor.graph import observe

        with observe(seconds) as graph:
            yield "Topics", graph.topics()
            yield "Nodes", graph.nodes()


def _line(finding: Finding, coloured: bool) -> str:
    word = f"{finding.state.value:>8}"
    if coloured:
        word = f"\x1b[{_COLOURS[finding.state]}m{word}\x1b[0m"
    advice = f"\n         -> {finding.advice}" if finding.advice else ""
    return f"{word} {finding.what}: {finding.text}{advice}"
