"""What the core says, in the node's log: there it has a level, a name, and a way to /rosout."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_CORE = logging.getLogger("kp3d_core")


@contextmanager
def core_log_in(logger: Any) -> Iterator[None]:
    """Hand what the core says on while the block runs.

    Args:
        logger: of the node.
    """
    handler, level = _Handler(logger), _CORE.level
    _CORE.addHandler(handler)
    _CORE.setLevel(logging.INFO)
    try:
        yield
    finally:
        _CORE.removeHandler(handler)
        _CORE.setLevel(level)


class _Handler(logging.Handler):
    def __init__(self, logger: Any) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        # A line for each: rclpy refuses two levels from one.
        if record.levelno >= logging.ERROR:
            self._logger.error(record.getMessage())
        elif record.levelno >= logging.WARNING:
            self._logger.warning(record.getMessage())
        else:
            self._logger.info(record.getMessage())
