"""Images as they come from the middleware: a view of their bytes instead of a copy.

Members are called as those of the messages, so that whatever takes an Image takes these as well.

Reference: Common Data Representation, CORBA 3.3 part 2, section 9.3; the bytes before it, DDSI-RTPS
2.5, section 10.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from std_msgs.msg import Header

_ENCAPSULATION = 4
"""Bytes before the message itself: representation and options."""
_ORDERS = {b"\x00\x00": ">", b"\x00\x01": "<"}
"""Byte order of each representation of messages of plain fields."""


class Reader:
    """Takes one value after the other from a serialized message."""

    def __init__(self, data: bytes) -> None:
        """Read the byte order.

        Raises:
            ValueError: the bytes are no message.
        """
        self._data = data
        self._at = _ENCAPSULATION
        self._order = _ORDERS.get(bytes(data[:2]), "")
        if not self._order or len(data) < _ENCAPSULATION:
            raise ValueError(
                "Serialized message must begin with 00 00 or 00 01 (plain CDR) and two more bytes, "
                f"got {len(data)} bytes that begin with '{bytes(data[:4]).hex(' ')}'. Use another "
                "middleware (RMW_IMPLEMENTATION), or check the publisher."
            )

    def integers(self, kinds: str) -> tuple[int, ...]:
        """The next integers, all of one size, of the kinds that `struct` names (`i`, `I`, `B`)."""
        size = struct.calcsize(self._order + kinds[0])
        start = self._at + (_ENCAPSULATION - self._at) % size
        self._at = self._end(start, size * len(kinds))
        return struct.unpack_from(self._order + kinds, self._data, start)

    def text(self) -> str:
        """The next string."""
        (length,) = self.integers("I")
        start = self._at
        self._at = self._end(start, length)
        # The last byte is a zero. What is no UTF-8 must not keep an image from being used.
        return bytes(self._data[start : max(self._at - 1, start)]).decode(errors="replace")

    def octets(self) -> NDArray[np.uint8]:
        """The next sequence of bytes, as a view."""
        (length,) = self.integers("I")
        start = self._at
        self._at = self._end(start, length)
        return np.frombuffer(self._data, np.uint8, length, start)

    def header(self) -> Header:
        """The next std_msgs/Header."""
        (sec,), (nanosec,) = self.integers("i"), self.integers("I")
        return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=self.text())

    def _end(self, start: int, length: int) -> int:
        end = start + length
        if end > len(self._data):
            raise ValueError(
                f"Serialized message must have at least {end} bytes by what it says, got "
                f"{len(self._data)}: it is truncated, or of another type. Check the publisher."
            )
        return end


class _Serialized:
    """Reads itself when the first member is asked for: most of what is dropped never is."""

    header: Header

    def __init__(self, data: bytes) -> None:
        self._serialized = data

    def __getattr__(self, name: str) -> Any:
        """A member that has not been read yet.

        Raises:
            ValueError: the bytes are no such message.
        """
        if name not in type(self)._members():
            raise AttributeError(f"{type(self).__name__} has no member '{name}'.")
        self._read(Reader(self._serialized))
        return self.__dict__[name]

    @classmethod
    def _members(cls) -> tuple[str, ...]:
        return ("header", *cls.__annotations__)

    def _read(self, reader: Reader) -> None:
        raise NotImplementedError


class SerializedImage(_Serialized):
    """A sensor_msgs/Image; see there."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: NDArray[np.uint8]

    def _read(self, reader: Reader) -> None:
        self.header = reader.header()
        self.height, self.width = reader.integers("II")
        self.encoding = reader.text()
        (self.is_bigendian,), (self.step,) = reader.integers("B"), reader.integers("I")
        self.data = reader.octets()


class SerializedCompressedImage(_Serialized):
    """A sensor_msgs/CompressedImage; see there."""

    format: str
    data: NDArray[np.uint8]

    def _read(self, reader: Reader) -> None:
        self.header = reader.header()
        self.format = reader.text()
        self.data = reader.octets()
