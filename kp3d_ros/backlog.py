"""Which of the images that wait are worth their time."""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import Generic, TypeVar

T = TypeVar("T")

LONGEST = 3
"""Most items that wait: as many as a 30 Hz camera takes while the host stalls for 70 ms. More would
be copied out of the middleware for nothing where the node is slower than the camera."""
_REMEMBERED = 8
_PAUSE_S = 1.0
"""Items further apart than this are no stream."""


class Backlog(Generic[T]):
    """Items in the order in which they came; of those that would wait too long the newest stay.

    A reader that is slower than the items come gets the newest one each time: it never works
    through a queue of old ones. One that is faster, and was held up for a moment, gets those that
    came meanwhile, too: as many as leave none waiting for its predecessors longer than items are
    apart.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._items: deque[T] = deque()
        self._arrivals_s: deque[float] = deque(maxlen=_REMEMBERED)
        self._durations_s: deque[float] = deque(maxlen=_REMEMBERED)
        self.dropped = 0
        """Items that nobody got, because newer ones came."""

    def put(self, item: T, now_s: float) -> None:
        """Add an item.

        Args:
            item: comes after all others.
            now_s: when it came, by a clock that never jumps [s].
        """
        if self._arrivals_s and now_s - self._arrivals_s[-1] > _PAUSE_S:
            self._arrivals_s.clear()
        self._arrivals_s.append(now_s)
        self._items.append(item)

    def take(self) -> T | None:
        """The next item to work on; None if there is none."""
        surplus = len(self._items) - self.allowed
        for _ in range(surplus):
            self._items.popleft()
            self.dropped += 1
        return self._items.popleft() if self._items else None

    def note_duration(self, duration_s: float) -> None:
        """Remember how long the work on an item took [s]."""
        self._durations_s.append(duration_s)

    @property
    def allowed(self) -> int:
        """How many items may wait at the moment."""
        if len(self._arrivals_s) < _REMEMBERED or not self._durations_s:
            return 1
        # Mean and median: a stall delays items, it makes no more of them; and holds up one of many.
        apart_s = (self._arrivals_s[-1] - self._arrivals_s[0]) / (len(self._arrivals_s) - 1)
        duration_s = median(self._durations_s)
        if duration_s <= 0:
            return LONGEST
        return min(1 + math.floor(apart_s / duration_s), LONGEST)

    def clear(self) -> None:
        """Forget what waits."""
        self._items.clear()

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._items)
