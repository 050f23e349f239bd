"""Hand-over between two threads in which the newest item wins."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds one item at most, so a slow reader never works through a queue of old items."""

    def __init__(self) -> None:
        """Start empty and open."""
        self._item: T | None = None
        self._closed = False
        self._changed = Condition()
        self.dropped = 0
        """Items that were replaced before anyone took them."""

    def put(self, item: T) -> None:
        """Store `item`; replaces and counts the one that is still waiting."""
        with self._changed:
            if self._item is not None:
                self.dropped += 1
            self._item = item
            self._changed.notify()

    def take(self) -> T | None:
        """Wait for an item and remove it; None once the mailbox is closed."""
        with self._changed:
            while self._item is None and not self._closed:
                self._changed.wait()
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> None:
        """Wake the reader up for the last time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
