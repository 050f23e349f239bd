"""The thread that looks at images, so that callbacks never wait."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

from kp3d_ros.mailbox import Mailbox

T = TypeVar("T")


class Worker(Generic[T]):
    """Works on the newest item; one that comes while it is busy waits, and only the newest does."""

    def __init__(self, work: Callable[[T], None]) -> None:
        """Start the thread.

        Args:
            work: called in it with each item; must not raise.
        """
        self._mailbox: Mailbox[T] = Mailbox()
        self._work = work
        self._thread = Thread(target=self._run, name="inference")
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Items that newer ones replaced before their turn came."""
        return self._mailbox.dropped

    def put(self, item: T) -> None:
        """Hand over an item."""
        self._mailbox.put(item)

    def stop(self) -> None:
        """Finish the item in work, forget the one that waits, end the thread."""
        self._mailbox.close()
        self._thread.join()

    def _run(self) -> None:
        while (item := self._mailbox.take()) is not None:
            self._work(item)
