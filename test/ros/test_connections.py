"""Why nothing comes through a topic, among real nodes over DDS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from kp3d_ros.connections import (
    UNNAMED,
    Endpoint,
    deaf_listeners,
    own,
    publishers_of,
    subscriptions_of,
    type_name_of,
    why_nothing_comes,
)

SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=1)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def ours(make_node: Callable[[str], Node]) -> Node:
    return make_node("ours")


@pytest.fixture
def other() -> Iterator[Node]:
    """A node of another process, as far as the middleware is concerned."""
    context = Context()
    rclpy.init(context=context)
    node = Node("other", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait without spinning: what the middleware knows needs no executor."""
    end = monotonic() + 20
    while not condition() and monotonic() < end:
        sleep(0.01)
    assert condition()


def known(endpoints: list[Endpoint]) -> bool:
    """Whether there are any, and their nodes' names have come, too."""
    return bool(endpoints) and all(endpoint.node != UNNAMED for endpoint in endpoints)


@pytest.fixture
def publish(other: Node, ours: Node) -> Callable[..., None]:
    """Publish a topic from another node, and wait until ours knows of it."""

    def start(kind: type, topic: str, qos: QoSProfile = SENSOR) -> None:
        other.create_publisher(kind, topic, qos)
        wait_for(lambda: known(publishers_of(ours, topic)))

    return start


def why(node: Node, topic: str, kind: type = Image, qos: QoSProfile = SENSOR) -> str:
    subscription = node.create_subscription(kind, topic, print, qos)
    wait_for(lambda: own(node, subscriptions_of(node, topic)))
    endpoint = own(node, subscriptions_of(node, topic))
    assert endpoint
    text = why_nothing_comes(node, topic, endpoint, argument="image")
    node.destroy_subscription(subscription)
    wait_for(lambda: not subscriptions_of(node, topic))
    return text


def test_name_of_a_type() -> None:
    assert type_name_of(Image) == "sensor_msgs/msg/Image"


def test_nobody_publishes(ours: Node, publish: Callable[..., None]) -> None:
    ours.create_publisher(Image, "/overlay", 10)  # what we publish is no camera
    assert why(ours, "/image") == (
        "Nobody publishes on /image, and there is no other topic of type sensor_msgs/msg/Image. "
        "Start its publisher, with the same ROS_DOMAIN_ID and the same middleware "
        "(RMW_IMPLEMENTATION)."
    )

    publish(Image, "/cam/image_raw")
    assert why(ours, "/image") == (
        "Nobody publishes on /image. Topics of type sensor_msgs/msg/Image: /cam/image_raw. Remap "
        "it, for example image:=/cam/image_raw."
    )


def test_the_camera_publishes_in_the_other_transport(
    ours: Node, publish: Callable[..., None]
) -> None:
    publish(CompressedImage, "/cam/image_raw/compressed")
    publish(Image, "/front/image")

    assert why(ours, "/cam/image_raw") == (
        "Nobody publishes on /cam/image_raw, but there is /cam/image_raw/compressed "
        "(sensor_msgs/msg/CompressedImage). Set 'image_transport' to compressed."
    )
    assert why(ours, "/front/image/compressed", CompressedImage).endswith(
        "but there is /front/image (sensor_msgs/msg/Image). Set 'image_transport' to raw."
    )
    # The argument names the topic without the ending, which the node adds.
    assert why(ours, "/image/compressed", CompressedImage).endswith("image:=/cam/image_raw.")


def test_a_depth_image_is_not_the_first_that_is_advised(
    ours: Node, publish: Callable[..., None]
) -> None:
    publish(Image, "/camera/depth/image_rect_raw")
    publish(Image, "/camera/image_raw")

    assert why(ours, "/image").endswith("for example image:=/camera/image_raw.")


def test_another_type(ours: Node, publish: Callable[..., None]) -> None:
    publish(CompressedImage, "/image")

    text = why(ours, "/image")
    assert "/image is of type sensor_msgs/msg/CompressedImage (/other publishes it)" in text
    assert "must be of type sensor_msgs/msg/Image. Set 'image_transport' to what there is" in text
    publish(CompressedImage, "/text")
    assert "String. Remap to another topic." in why(ours, "/text", String)


def test_publisher_that_offers_too_little(ours: Node, publish: Callable[..., None]) -> None:
    publish(Image, "/image")
    asks = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

    assert why(ours, "/image", qos=asks) == (
        "/other publishes /image with reliability best_effort and durability volatile, this node "
        "asks for reliability reliable and durability transient_local: nothing comes through. Set "
        "qos_overrides./image.subscription.reliability to best_effort and "
        "qos_overrides./image.subscription.durability to volatile."
    )


def test_calibration_that_was_sent_once(ours: Node, publish: Callable[..., None]) -> None:
    publish(CameraInfo, "/camera_info", LATCHED)

    text = why(ours, "/camera_info", CameraInfo)
    assert "/other publishes on /camera_info and keeps its last message" in text
    assert "Set qos_overrides./camera_info.subscription.durability to transient_local." in text


def test_publisher_that_is_still(ours: Node, publish: Callable[..., None]) -> None:
    publish(Image, "/image", RELIABLE)

    text = why(ours, "/image")
    assert text.startswith("/other publishes on /image, but nothing comes.")
    assert "ros2 topic hz /image" in text


@pytest.mark.parametrize(
    ("kind", "qos", "text"),
    [
        (Image, RELIABLE, ""),
        (String, RELIABLE, "/other listens to /overlay as std_msgs/msg/String, it is sensor_msgs"),
        (Image, LATCHED, "with durability transient_local, which /ours does not offer (durability"),
        (Image, LATCHED, "set qos_overrides./overlay.publisher.durability to transient_local."),
    ],
)
def test_listener_that_cannot_be_served(
    ours: Node,
    other: Node,
    kind: type,
    qos: Any,
    text: str,
) -> None:
    ours.create_publisher(Image, "/overlay", RELIABLE)
    other.create_subscription(kind, "/overlay", print, qos)
    wait_for(lambda: known(subscriptions_of(ours, "/overlay")))
    wait_for(lambda: known(publishers_of(ours, "/overlay")))

    sentences = deaf_listeners(ours, "/overlay")

    assert len(sentences) == bool(text)
    assert text in "".join(sentences)
