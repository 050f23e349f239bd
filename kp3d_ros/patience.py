"""Whether it is worth to wait for the message that has the stamp of an image."""

from __future__ import annotations

from time import monotonic

WAIT_S = 0.02
"""How long an image waits for what has its stamp [s]: drivers publish one after the other, in any
order."""
_MISSES = 3
"""After so many images in a row without a message of their stamp none is waited for: not every
driver publishes one with each image."""


class Patience:
    """Learns whether messages come with the stamps of images; for one thread at a time."""

    def __init__(self, wait_s: float) -> None:
        """Start patient.

        Args:
            wait_s: how long to wait at most [s].
        """
        self.longest_s = wait_s
        self._misses = 0
        self._asked = 0, 0.0
        """Stamp of the last image, and when it was asked for."""

    @property
    def wait_s(self) -> float:
        """How long to wait now [s]."""
        return self.longest_s if self._misses < _MISSES else 0.0

    def ask(self, stamp_ns: int) -> None:
        """An image asks for its message."""
        self._asked = stamp_ns, monotonic()

    def note_arrival(self, stamp_ns: int) -> None:
        """A message has come."""
        asked_ns, asked_s = self._asked
        if stamp_ns == asked_ns and monotonic() - asked_s < self.longest_s:
            self._misses = 0  # it would have come in time, had the image waited

    def note(self, has_come: bool) -> None:
        """The image asks no longer."""
        self._misses = 0 if has_come else self._misses + 1
