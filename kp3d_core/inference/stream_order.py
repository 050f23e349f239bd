"""The order of a stream: stamps that go on, come late, repeat, or start again."""

from __future__ import annotations

from collections import deque
from enum import Enum

LATE_S = 0.5
"""What is behind by less has been overtaken on the way; by more, the clock was set back."""
OVERTAKEN = 3
"""So many in a row may come late, and so many may overtake one."""


class Order(Enum):
    """How a stamp follows those before it."""

    NEXT = "next"
    """It is later than all, or as late as the latest."""
    LATE = "late"
    """It was overtaken by some that came before it."""
    RESTART = "restart"
    """The clock was set back: a simulator was reset, a recording began again."""


class StreamOrder:
    """Tells messages that changed places on the way from a clock that was set back."""

    def __init__(self) -> None:
        """Start without a past."""
        self._stamps_ns: deque[int] = deque(maxlen=OVERTAKEN + 1)
        """The last ones that went on, oldest first."""
        self._late = 0

    def follow(self, stamp_ns: int) -> Order:
        """How the next stamp follows; what is late does not count as the latest.

        Args:
            stamp_ns: of the message that comes next [ns].
        """
        known = self._stamps_ns
        if known and stamp_ns < known[-1]:
            behind_ns = known[-1] - stamp_ns
            is_near = behind_ns < LATE_S * 1e9
            # Of a slow camera, too; but not after a stamp from afar, which overtakes everything.
            is_overtaken = len(known) > OVERTAKEN and behind_ns <= known[-2] - known[0]
            if self._late < OVERTAKEN and (is_overtaken or is_near):
                self._late += 1
                return Order.LATE
            known.clear()
            known.append(stamp_ns)
            self._late = 0
            return Order.RESTART
        self._late = 0
        if not known or stamp_ns > known[-1]:
            known.append(stamp_ns)
        return Order.NEXT


STEP_S = 1 / 30
"""Time that passes from an image to the next where their stamps do not tell [s]."""


class ImageClock:
    """Time of each image in a stream; grows from image to image even where stamps repeat."""

    def __init__(self) -> None:
        """Start without a past."""
        self._order = StreamOrder()
        self._stamp_ns: int | None = None
        self.time_s = 0.0
        """Time of the last image that was not late [s]: its stamp, or a little later after stamps
        that were equal."""

    def follow(self, stamp_ns: int) -> Order:
        """How the next image follows those before it.

        Args:
            stamp_ns: of the image [ns].
        """
        order = self._order.follow(stamp_ns)
        if order is Order.LATE:
            return order
        stamp_s = stamp_ns * 1e-9
        if order is Order.RESTART or self._stamp_ns is None:
            self.time_s = stamp_s
        else:
            passed_s = (stamp_ns - self._stamp_ns) * 1e-9
            step_s = min(passed_s, STEP_S) if passed_s > 0 else STEP_S
            self.time_s = max(stamp_s, self.time_s + step_s)
        self._stamp_ns = stamp_ns
        return order
