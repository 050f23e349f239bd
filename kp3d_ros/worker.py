"""The thread that takes images and works on them, so that callbacks of the executor never wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

from rclpy.context import Context

from kp3d_ros.backlog import Backlog
from kp3d_ros.intake import Intake

T = TypeVar("T")

_AFTER_ERROR_S = 0.01
"""So that an error that comes at once again takes no whole core."""


class Worker(Generic[T]):
    """Takes messages while it has nothing to do and before each item; works on one at a time."""

    def __init__(
        self, context: Context, work: Callable[[T], None], on_error: Callable[[Exception], None]
    ) -> None:
        """Start the thread.

        Args:
            context: that the subscriptions belong to.
            work: called in the thread with each item; must not raise.
            on_error: called in the thread with what callbacks and the middleware raise.
        """
        self.intake = Intake(context)
        """Whose callbacks call `put`."""
        self._work = work
        self._on_error = on_error
        self._backlog: Backlog[T] = Backlog()
        self._is_stopped = False
        self._thread = Thread(target=self._run, name="inference")
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Items that newer ones replaced before their turn came."""
        return self._backlog.dropped

    def put(self, item: T) -> None:
        """Hand over an item; from a callback of the intake."""
        self._backlog.put(item, time.monotonic())

    def stop(self) -> None:
        """Finish the item in work, forget those that wait, end the thread."""
        self._is_stopped = True
        self.intake.wake()
        self._thread.join()
        self.intake.close()

    def _run(self) -> None:
        is_open = True
        while is_open and not self._is_stopped:
            try:
                is_open = self.intake.take(0.0 if len(self._backlog) else None)
            except Exception as error:
                self._on_error(error)
                time.sleep(_AFTER_ERROR_S)
            item = None if self._is_stopped else self._backlog.take()
            if item is not None:
                start_s = time.perf_counter()
                self._work(item)
                self._backlog.note_duration(time.perf_counter() - start_s)
