"""Which depth image belongs to which image."""

from __future__ import annotations

from threading import Thread
from time import monotonic, sleep

import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from kp3d_ros.depth_images import DepthImages
from kp3d_ros.serialized import SerializedImage

LONG_S = 30.0
"""A wait that only ends because what is waited for has come."""
MS = 1_000_000


def depth(stamp_ms: int) -> Image:
    return Image(header=Header(stamp=Time(nanosec=stamp_ms * MS)))


def found(images: DepthImages, stamp_ms: int, max_age_s: float = 0.05) -> int | None:
    message = images.nearest(stamp_ms * MS, max_age_s)
    return None if message is None else message.header.stamp.nanosec // MS


def test_its_own_else_the_nearest_that_is_near_enough() -> None:
    images = DepthImages()
    for stamp_ms in (100, 133, 166):
        images.put(depth(stamp_ms))

    assert [found(images, stamp_ms) for stamp_ms in (133, 140, 160, 216)] == [133, 133, 166, 166]
    assert found(images, 217) is None
    images.keep_only(lambda header: header.stamp.nanosec < 150 * MS)
    assert found(images, 160) == 133
    images.clear()
    assert found(images, 133) is None


def test_an_image_that_comes_first_waits_for_its_own() -> None:
    images = DepthImages(wait_s=LONG_S)
    images.put(depth(100))

    def later() -> None:
        sleep(0.05)
        images.put(depth(133))

    thread = Thread(target=later)
    thread.start()
    assert found(images, 133) == 133  # not the one before, which is near enough as well
    thread.join()


def test_where_stamps_differ_no_image_waits_for_long() -> None:
    images = DepthImages(wait_s=0.05)
    images.put(depth(1))
    for _ in range(3):
        assert found(images, 20) == 1

    start = monotonic()
    for _ in range(100):
        assert found(images, 20) == 1
    assert monotonic() - start < 100 * 0.05 / 2


def test_what_cannot_be_read_costs_no_image() -> None:
    images = DepthImages()

    with pytest.raises(ValueError, match="Serialized message must begin with"):
        images.put(SerializedImage(b"\x07"))
    assert found(images, 1) is None
