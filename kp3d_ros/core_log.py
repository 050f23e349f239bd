"""What the core warns of, in the node's log: there it has a level, a name, and a way to /rosout."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_CORE = logging.getLogger("kp3d_core")


@contextmanager
def core_log_in(logger: Any) -> Iterator[None]:
    """Hand warnings of the core on while the block runs.

    Args:
        logger: of the node.
    """
    handler = _Handler(logger)
    _CORE.addHandler(handler)
    try:
        yield
    finally:
        _CORE.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, logger: Any) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        # Two lines: rclpy refuses two levels from one.
        if record.levelno >= logging.ERROR:
            self._logger.error(record.getMessage())
        else:
            self._logger.warning(record.getMessage())
