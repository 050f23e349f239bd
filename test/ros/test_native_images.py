"""Images in memory that is used again hold what rclpy's own reading gives, as long as they live."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from kp3d_ros import native_images as native
from kp3d_ros.gaps import Gaps, Origin
from kp3d_ros.image_taking import ImageTaker
from kp3d_ros.intake import Intake
from kp3d_ros.native_images import NativeImages

sys.path.insert(0, str(Path(__file__).parent))
from test_serialized import TEXTS, an_image, assert_same  # noqa: E402


@pytest.fixture(scope="module")
def images() -> NativeImages:
    return NativeImages()


@pytest.mark.parametrize("size", [0, 1, 255])
@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("frame_id", TEXTS)
def test_reads_what_rclpy_reads(
    images: NativeImages, frame_id: str, encoding: str, size: int
) -> None:
    image = an_image(frame_id, encoding, size)

    read = images.read(serialize_message(image))

    assert_same(read, image)  # type: ignore[arg-type]
    assert not read.data.flags.writeable or not size


def test_pixels_stay_as_long_as_anybody_looks_at_them(images: NativeImages) -> None:
    kept = [
        images.read(serialize_message(an_image(size=100 + number))).data.reshape(1, -1)[:, 1:]
        for number in range(5)
    ]
    gc.collect()
    images.read(serialize_message(an_image(size=1000)))

    for number, view in enumerate(kept):
        assert view.tolist() == [[value % 256 for value in range(1, 100 + number)]]


def test_memory_is_used_again(images: NativeImages) -> None:
    """Another image lies where that before it lay, and a stall leaves no more than two."""
    data = serialize_message(an_image(size=1000))
    first = images._structures.lend().address
    assert {images._structures.lend().address for _ in range(5)} == {first}

    many = [images.read(data) for _ in range(6)]
    assert len({image.data.ctypes.data for image in many}) == 6
    del many
    assert len(images._structures._waiting) == 2


def test_refuses_what_is_no_image(images: NativeImages) -> None:
    whole = serialize_message(an_image())
    for end in (0, 3, 7, len(whole) - 5):
        with pytest.raises(RuntimeError, match="rmw_deserialize ended with status"):
            images.read(whole[:end])
    assert_same(images.read(whole), an_image())  # type: ignore[arg-type]


@pytest.fixture
def two_ways(images: NativeImages) -> tuple[NativeImages | None, ...]:
    return images, None


@pytest.mark.parametrize("way", [0, 1], ids=["native", "by rclpy"])
def test_takes_from_the_middleware_and_counts_what_did_not_come(
    make_node: Callable[[str], Node], two_ways: tuple[NativeImages | None, ...], way: int
) -> None:
    """Of seven images the middleware keeps three; the others were overwritten."""
    node, got, lost = make_node("native"), [], []
    intake = Intake(node.context)
    subscription = node.create_subscription(
        Image, "image", got.append, 3, callback_group=intake.group, raw=True
    )
    publisher = node.create_publisher(Image, "image", 10)
    intake.watch([subscription], {subscription: ImageTaker(Image, two_ways[way], lost.append)})
    assert intake.wait_for(publisher.get_subscription_count, 10)
    sent = [an_image(encoding="mono8", size=number * 1000) for number in range(8)]
    publisher.publish(sent[0])
    assert intake.wait_for(lambda: got, 10)
    for image in sent[1:]:
        publisher.publish(image)
        time.sleep(0.02)  # for the middleware to deliver it

    assert intake.wait_for(lambda: len(got) == 4, 10)
    intake.close()

    for read, image in zip(got, [sent[0], *sent[5:]], strict=True):
        assert_same(read, image)
        assert isinstance(read.data, np.ndarray)
    assert lost == [4]


def test_a_publisher_that_comes_back_has_lost_nothing() -> None:
    gaps = Gaps()
    numbers = [(b"a", 7), (b"b", 1), (b"a", 8), (b"a", 10), (b"b", 2), (b"a", 1), (b"a", None)]

    assert [gaps.before(Origin(*item)) for item in numbers] == [0, 0, 0, 1, 0, 0, 0]


def test_another_layout_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with other members takes images in the slower way, and says so."""

    class Swapped(native._Image.__base__):  # type: ignore[misc, name-defined]
        _fields_ = tuple(
            (dict(height="width", width="height").get(name, name), kind)
            for name, kind in native._Image._fields_
        )

    monkeypatch.setattr(native, "_Image", Swapped)

    taker, why_not = native.native_images()

    assert taker is None
    assert why_not == "sensor_msgs/Image has another layout (height, width)"


def test_a_ros_without_its_functions_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(native.ctypes, "CDLL", missing)

    assert native.native_images() == (None, "librcl.so: cannot open shared object file")


def test_an_rclpy_without_pointers_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_rclpy", SimpleNamespace(Subscription=object))

    assert native.native_images() == (None, "rclpy does not tell where subscriptions are")


def test_the_node_says_once_that_it_takes_images_by_rclpy(
    make_node: Callable[[str], Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And takes them all the same."""
    from kp3d_ros import inputs as module
    from kp3d_ros.calibrations import Calibrations
    from kp3d_ros.settings import Settings

    monkeypatch.setattr(module, "native_images", lambda: (None, "no librcl.so"))
    node, got, said = make_node("detector"), [], []
    monkeypatch.setattr(node, "get_logger", lambda: SimpleNamespace(info=said.append))
    pipeline = SimpleNamespace(
        calibrations=Calibrations(),
        inbox=SimpleNamespace(put_detections=print),
        set_back=print,
    )
    intake = Intake(node.context)
    inputs = module.Inputs(node, pipeline, Settings(), got.append, print, intake)  # type: ignore[arg-type]
    inputs.open()
    publisher = node.create_publisher(Image, "image", 10)
    assert intake.wait_for(publisher.get_subscription_count, 10)
    publisher.publish(an_image())

    assert intake.wait_for(lambda: got, 10)
    inputs.close()
    inputs.open()
    inputs.close()
    intake.close()

    assert_same(got[0], an_image())
    assert said == [
        "Images are taken by rclpy: no librcl.so. That costs more time and changes nothing."
    ]
