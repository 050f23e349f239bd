"""Views of serialized images hold what the middleware's own reading gives, and refuse the rest."""

from __future__ import annotations

import array
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage, Image

from kp3d_ros.serialized import SerializedCompressedImage, SerializedImage

STORE = get_typestore(Stores.ROS2_HUMBLE)
TEXTS = ("", "a", "ab", "abc", "camera_optical_frame", "Küche")
"""Of all lengths modulo four: strings move what comes after them."""


def an_image(frame_id: str = "camera", encoding: str = "rgb8", size: int = 12) -> Image:
    image = Image(height=7, width=5, encoding=encoding, is_bigendian=1, step=35)
    image.header.stamp.sec, image.header.stamp.nanosec = -3, 999_999_999
    image.header.frame_id = frame_id
    image.data = array.array("B", [number % 256 for number in range(size)])
    return image


def assert_same(read: SerializedImage, image: Image) -> None:
    assert read.header == image.header
    for name in ("height", "width", "encoding", "is_bigendian", "step"):
        assert getattr(read, name) == getattr(image, name)
    assert bytes(read.data) == bytes(image.data)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255])
@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("frame_id", TEXTS)
def test_reads_what_rclpy_reads(frame_id: str, encoding: str, size: int) -> None:
    serialized = serialize_message(an_image(frame_id, encoding, size))

    assert_same(SerializedImage(serialized), deserialize_message(serialized, Image))


@pytest.mark.parametrize("little_endian", [False, True])
@pytest.mark.parametrize("frame_id", TEXTS)
def test_reads_both_byte_orders(frame_id: str, little_endian: bool) -> None:
    image = an_image(frame_id)
    types = STORE.types
    stamp = types["builtin_interfaces/msg/Time"](-3, 999_999_999)
    other = types["sensor_msgs/msg/Image"](
        types["std_msgs/msg/Header"](stamp, frame_id),
        image.height,
        image.width,
        image.encoding,
        image.is_bigendian,
        image.step,
        np.array(image.data, np.uint8),
    )

    serialized = bytes(
        STORE.serialize_cdr(other, "sensor_msgs/msg/Image", little_endian=little_endian)
    )

    assert serialized[1] == little_endian
    assert_same(SerializedImage(serialized), image)
    assert_same(SerializedImage(serialized), deserialize_message(serialized, Image))


@pytest.mark.parametrize("kind", TEXTS)
def test_reads_compressed_images(kind: str) -> None:
    image = CompressedImage(format=kind, data=array.array("B", b"\xff\xd8\xff1"))
    image.header.frame_id = "camera"

    read = SerializedCompressedImage(serialize_message(image))

    assert (read.header, read.format) == (image.header, kind)
    assert bytes(read.data) == b"\xff\xd8\xff1"
    assert not hasattr(read, "encoding")  # which tells the two kinds apart


def test_copies_no_pixels() -> None:
    serialized = serialize_message(an_image(size=1000))

    data = SerializedImage(serialized).data

    assert np.shares_memory(data, np.frombuffer(serialized, np.uint8))
    assert not data.flags.writeable


def test_every_truncation_is_refused() -> None:
    serialized = serialize_message(an_image(frame_id="camera", encoding="rgb8", size=9))
    # Encapsulation 4, stamp 8, frame_id 4 + 7 (+ 1), size 8, encoding 4 + 5, endianness 1 (+ 2),
    # step 4, data 4 + 9.
    whole = 4 + 8 + 12 + 8 + 9 + 1 + 2 + 4 + 13

    for end in range(whole):
        with pytest.raises(ValueError, match="Serialized message must"):
            _ = SerializedImage(serialized[:end]).data
    assert len(SerializedImage(serialized[:whole]).data) == 9


@pytest.mark.parametrize("start", [b"", b"\x00", b"\x00\x01\x00", b"\x00\x07\x00\x00", b"\x99" * 8])
def test_other_representations_are_refused(start: bytes) -> None:
    with pytest.raises(ValueError, match="must begin with 00 00 or 00 01|at least"):
        _ = SerializedImage(start).header


def test_random_bytes_are_read_or_refused() -> None:
    rng = random.Random(0)
    good = serialize_message(an_image(size=64))
    for _ in range(3000):
        data = bytearray(good[: rng.randrange(len(good) + 1)])
        for _ in range(rng.randrange(4)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        with suppress_refusal():
            image = SerializedImage(bytes(data))
            assert len(image.data) <= len(data)
            assert len(image.encoding) <= len(data)


@contextmanager
def suppress_refusal() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        if "Serialized message must" not in str(error):
            raise
