"""Messages that were published and never came, by the numbers that publishers give them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Origin(NamedTuple):
    """Where a message is from."""

    publisher: bytes
    """What the middleware knows it by."""
    number: int | None
    """It counts its messages; None where the middleware does not tell."""

    @classmethod
    def of(cls, info: dict[str, Any]) -> Origin:
        """That of what rclpy tells about a message."""
        publisher = info.get("publisher_gid") or {}
        return cls(bytes(publisher.get("data", b"")), info.get("publication_sequence_number"))


class Gaps:
    """Counts the messages of one topic that were lost on the way or overwritten before their turn.

    The middleware keeps a few messages that have not been taken, and tells nobody of those that
    newer ones replace.
    """

    def __init__(self) -> None:
        """Know no publisher yet."""
        self._last: dict[bytes, int] = {}

    def before(self, origin: Origin) -> int:
        """How many messages of its publisher are missing between the last one and this."""
        if origin.number is None:
            return 0
        last = self._last.get(origin.publisher, origin.number)
        self._last[origin.publisher] = origin.number
        return max(origin.number - last - 1, 0)
