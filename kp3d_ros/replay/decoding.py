"""From bytes of a recording to a message."""

from __future__ import annotations

import struct
from typing import Any

from rosbags.serde import SerdeError
from rosbags.typesys.store import Typestore


def decode(store: Typestore, raw: bytes, kind: str) -> Any:
    """The message.

    Raises:
        ValueError: the bytes are not those of such a message.
    """
    try:
        return store.deserialize_cdr(raw, kind)
    except (SerdeError, AssertionError, IndexError, MemoryError, ValueError, struct.error) as error:
        raise ValueError(
            f"The bytes must be a {kind}, and cannot be decoded as one ({error or 'too short'}). "
            "The message is damaged, or of another version of that type."
        ) from error
