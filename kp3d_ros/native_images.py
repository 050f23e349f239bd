"""Images taken from the middleware into memory that is used again: one copy, no new memory.

rclpy takes a serialized image by way of three buffers that are new for each. Here rcl reads it into
the C structure of the message, as it does for nodes in C++, and numpy gets a view of that.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from kp3d_ros.gaps import Origin

_OK, _NOTHING_THERE = 0, 401
"""RCL_RET_OK and RCL_RET_SUBSCRIPTION_TAKE_FAILED."""
_NO_NUMBER = 2**64 - 1
"""RMW_MESSAGE_INFO_SEQUENCE_NUMBER_UNSUPPORTED."""
_KEPT = 2
"""Structures that wait for their next image: of those needed after a stall the rest is freed."""


class _Sequence(ctypes.Structure):
    """rosidl_runtime_c__String and rosidl_runtime_c__uint8__Sequence."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
    )

    def text(self) -> str:
        return ctypes.string_at(self.data, self.size).decode(errors="replace")


class _Image(ctypes.Structure):
    """sensor_msgs__msg__Image."""

    _fields_ = (
        ("sec", ctypes.c_int32),
        ("nanosec", ctypes.c_uint32),
        ("frame_id", _Sequence),
        ("height", ctypes.c_uint32),
        ("width", ctypes.c_uint32),
        ("encoding", _Sequence),
        ("is_bigendian", ctypes.c_uint8),
        ("step", ctypes.c_uint32),
        ("data", _Sequence),
    )


class _Info(ctypes.Structure):
    """rmw_message_info_t up to what is read of it, and room for the rest of any version."""

    _fields_ = (
        ("source_timestamp", ctypes.c_int64),
        ("received_timestamp", ctypes.c_int64),
        ("publication_sequence_number", ctypes.c_uint64),
        ("reception_sequence_number", ctypes.c_uint64),
        ("implementation", ctypes.c_void_p),
        ("publisher", ctypes.c_uint8 * 16),
        ("rest", ctypes.c_uint8 * 184),
    )


class _Serialized(ctypes.Structure):
    """rcutils_uint8_array_t; the allocator is not used where it is only read."""

    _fields_ = (
        ("buffer", ctypes.c_char_p),
        ("length", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
        ("allocator", ctypes.c_void_p * 5),
    )


class _Structures:
    """Message structures that rosidl made, those in use and those that wait."""

    def __init__(self) -> None:
        support = type(Image)
        if support._CREATE_ROS_MESSAGE is None:
            support.__import_type_support__()
        self._create = ctypes.CFUNCTYPE(ctypes.c_void_p)(_pointer(support._CREATE_ROS_MESSAGE))
        self._destroy = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(
            _pointer(support._DESTROY_ROS_MESSAGE)
        )
        self.type_support = _pointer(support._TYPE_SUPPORT)
        self._waiting: list[int] = []

    def lend(self) -> _Lent:
        """One that is given back when nobody refers to it any more."""
        try:
            address = self._waiting.pop()
        except IndexError:
            address = int(self._create())
        return _Lent(address, self)

    def give_back(self, address: int) -> None:
        """From any thread."""
        if len(self._waiting) < _KEPT:
            self._waiting.append(address)
        else:
            self._destroy(address)

    def __del__(self) -> None:
        for address in getattr(self, "_waiting", ()):
            self._destroy(address)


class _Lent:
    """A structure as long as it, or a view of its pixels, is in use."""

    def __init__(self, address: int, owner: _Structures) -> None:
        self.address = address
        self._owner = owner

    def pixels(self) -> NDArray[np.uint8]:
        """A view of the data, which keeps the structure."""
        data = _Image.from_address(self.address).data
        if not data.size:
            return np.zeros(0, np.uint8)
        self.__array_interface__ = {
            "version": 3,
            "shape": (data.size,),
            "typestr": "|u1",
            "data": (data.data, True),  # read-only
        }
        return np.asarray(self)

    def __del__(self) -> None:
        self._owner.give_back(self.address)


class NativeImage:
    """A sensor_msgs/Image; see there. Its pixels are a view."""

    def __init__(self, lent: _Lent) -> None:
        """Read all members."""
        image = _Image.from_address(lent.address)
        stamp = Time(sec=image.sec, nanosec=image.nanosec)
        self.header = Header(stamp=stamp, frame_id=image.frame_id.text())
        self.height: int = image.height
        self.width: int = image.width
        self.encoding = image.encoding.text()
        self.is_bigendian: int = image.is_bigendian
        self.step: int = image.step
        self.data = lent.pixels()


class NativeImages:
    """Takes the images of subscriptions to sensor_msgs/Image; in one thread."""

    def __init__(self) -> None:
        """Find the functions, and try whether images are read as they are.

        Raises:
            OSError, AttributeError: this ROS has no such functions, or they are elsewhere.
            ValueError: images are laid out in another way.
        """
        if not hasattr(_rclpy.Subscription, "pointer"):
            raise AttributeError("rclpy does not tell where subscriptions are")
        # The functions of the libraries that it needs are found through it, too.
        self._rcl = ctypes.CDLL("librcl.so")
        self._rcl.rcl_take.argtypes = [ctypes.c_void_p] * 4
        self._rcl.rmw_deserialize.argtypes = [ctypes.c_void_p] * 3
        self._structures = _Structures()
        self._info = _Info()
        _check_layout(self)

    def take(self, handle: Any) -> tuple[NativeImage, Origin] | None:
        """The next image, and where it is from; None if there is none.

        Args:
            handle: of the subscription, held against its destruction.

        Raises:
            RuntimeError: the middleware could not give it.
        """
        lent, info = self._structures.lend(), self._info
        status = self._rcl.rcl_take(handle.pointer, lent.address, ctypes.addressof(info), None)
        if status == _NOTHING_THERE:
            return None
        self._check(status, "rcl_take")
        number = int(info.publication_sequence_number)
        origin = Origin(bytes(info.publisher), None if number == _NO_NUMBER else number)
        return NativeImage(lent), origin

    def read(self, serialized: bytes) -> NativeImage:
        """An image of its serialized bytes, read by what `take` reads with.

        Raises:
            RuntimeError: they are none.
        """
        lent = self._structures.lend()
        message = _Serialized(serialized, len(serialized), len(serialized))
        status = self._rcl.rmw_deserialize(
            ctypes.addressof(message), self._structures.type_support, lent.address
        )
        self._check(status, "rmw_deserialize")
        return NativeImage(lent)

    def _check(self, status: int, name: str) -> None:
        if status != _OK:
            self._rcl.rcutils_reset_error()
            raise RuntimeError(f"{name} ended with status {status}.")


def native_images() -> tuple[NativeImages | None, str]:
    """What takes images natively, or None and why that cannot be done here."""
    try:
        return NativeImages(), ""
    except (OSError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        return None, str(error)


def _check_layout(images: NativeImages) -> None:
    """Read an image of unlikely numbers, twice, so that a structure is used again."""
    for shift in (0, 1):
        probe = Image(height=0x01020304 + shift, width=0x05060708, is_bigendian=9, step=0x0A0B0C0D)
        probe.header.stamp = Time(sec=-2 - shift, nanosec=999_999_999)
        probe.header.frame_id, probe.encoding = "camera" + "x" * shift, "rgb8" * (1 + shift)
        probe.data = bytes(range(200 + shift))
        read = images.read(serialize_message(probe))
        names = ("header", "height", "width", "encoding", "is_bigendian", "step")
        wrong = [name for name in names if getattr(read, name) != getattr(probe, name)]
        if bytes(read.data) != bytes(probe.data):
            wrong.append("data")
        if wrong:
            raise ValueError(f"sensor_msgs/Image has another layout ({', '.join(wrong)})")


def _pointer(capsule: Any) -> int:
    """What a PyCapsule holds."""
    name, get = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(get(capsule, name(capsule)))
