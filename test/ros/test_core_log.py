"""What the core says reaches the node's log, each at its level, and only while it is asked to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from kp3d_ros.core_log import core_log_in


class Log:
    """A logger as that of a node."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def __getattr__(self, level: str) -> Callable[[str], Any]:
        return lambda text: self.said.append((level, text))


def test_levels_are_kept() -> None:
    log, core = Log(), logging.getLogger("kp3d_core.inference")
    before = logging.getLogger("kp3d_core").level
    with core_log_in(log):
        core.debug("no matter")
        core.info("no GPU")
        core.warning("slow")
        core.error("broken")
    core.warning("later")

    assert log.said == [("info", "no GPU"), ("warning", "slow"), ("error", "broken")]
    assert logging.getLogger("kp3d_core").level == before
