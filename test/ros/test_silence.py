"""Whoever sees nothing finds the reason in five seconds: once in the log, and in diagnostics."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "test/core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import (  # noqa: E402
    CAMERA,
    UNIT_M,
    Client,
    NodeProcess,
    box_around,
    image_message,
    open_client,
    pose,
    stamp_key,
)
from tiny_model import draw_scene, write_tiny_model  # noqa: E402

SCENE = draw_scene(CAMERA, pose(2.0, (0.1, 0.05, 2.0)), UNIT_M)
LIMIT_S = 5.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture
def start(tmp_path: Path, model: str) -> Iterator[Callable[..., NodeProcess]]:
    nodes: list[NodeProcess] = []

    def start(**parameters: Any) -> NodeProcess:
        parameters = {"model": model, "object_size": 2 * UNIT_M, "threads": 1, **parameters}
        nodes.append(NodeProcess(tmp_path / f"{len(nodes)}.log", **parameters))
        return nodes[-1]

    yield start
    for node in nodes:
        assert node.stop() == 0
        assert "Traceback" not in node.log()


@pytest.fixture
def client() -> Iterator[Client]:
    with open_client(wait=False) as opened:
        yield opened


@pytest.fixture
def statuses(client: Client) -> list[DiagnosticStatus]:
    found: list[DiagnosticStatus] = []
    client.node.create_subscription(
        DiagnosticArray, "/diagnostics", lambda message: found.extend(message.status), 10
    )
    return found


def assert_said(
    text: str, node: NodeProcess, client: Client, statuses: list[Any], each: Any = None
) -> DiagnosticStatus:
    """The log and diagnostics say it in time, the log only once; returns the status."""
    begin = monotonic()
    client.spin(lambda: text in node.log(), each)
    assert monotonic() - begin < LIMIT_S
    client.spin(lambda: any(text in status.message for status in statuses), each)
    count = len(statuses)
    client.spin(lambda: len(statuses) >= count + 2, each)
    assert node.log().count(text) == 1
    return next(status for status in statuses if text in status.message)


def test_simulated_time_that_does_not_come(
    client: Client, start: Callable[..., NodeProcess], statuses: list[DiagnosticStatus]
) -> None:
    node = start(use_sim_time="true")
    client.spin(client.connected)

    status = assert_said(
        "'use_sim_time' is set, but no time comes on /clock",
        node, client, statuses, lambda: client.send(SCENE),
    )  # fmt: skip

    assert status.level == DiagnosticStatus.WARN
    assert client.poses  # and images are answered all the same
    assert not any("latency" in item.key for item in status.values)  # which nobody knows


def test_detections_of_another_time_and_class(
    client: Client, start: Callable[..., NodeProcess], statuses: list[DiagnosticStatus]
) -> None:
    node = start(detections_required="true", detection_class="car")
    client.spin(client.connected)

    def send(stamp: Time | None = None) -> None:
        image = image_message(SCENE)
        image.header.stamp = client.node.get_clock().now().to_msg()
        client.info.header = image.header
        client.infos.publish(client.info)
        boxes = box_around(SCENE, image)
        boxes.header = Header(stamp=stamp or image.header.stamp)
        client.boxes.publish(boxes)
        client.images.publish(image)

    status = assert_said(
        "Detections are not used: their stamp must be within 1 s of the image's",
        node, client, statuses, lambda: send(Time(sec=5)),
    )  # fmt: skip
    assert status.level == DiagnosticStatus.WARN
    client.spin(
        lambda: "none of the 1 has class_id 'car'" in statuses[-1].message, lambda: send(None)
    )


def test_object_that_is_not_found_and_images_that_stop(
    client: Client, start: Callable[..., NodeProcess], statuses: list[DiagnosticStatus]
) -> None:
    node = start()
    client.node.destroy_publisher(client.boxes)
    client.spin(client.connected)
    black = np.zeros((480, 640, 3), np.uint8)

    status = assert_said(
        "No object in the last", node, client, statuses, lambda: client.send(black)
    )
    assert status.level == DiagnosticStatus.OK  # there may be none
    assert "lower 'min_score'" in status.message
    assert "the whole image is searched" in node.log()

    stopped = stamp_key(client.info)
    status = assert_said("No image for 3 s.", node, client, statuses)
    assert status.level == DiagnosticStatus.WARN
    assert "/client publishes on /image, but nothing comes" in status.message
    assert stamp_key(client.info) == stopped


def test_images_of_another_type_and_a_node_that_waits_for_its_manager(
    client: Client, start: Callable[..., NodeProcess], statuses: list[DiagnosticStatus]
) -> None:
    node = start(autostart="false")
    text = "Unconfigured: the node waits for a lifecycle manager. By hand: ros2 lifecycle set"
    assert_said(text, node, client, statuses)
    assert node.stop() == 0
    statuses.clear()
    client.node.destroy_publisher(client.images)
    client.node.create_publisher(CompressedImage, "picture", qos_profile_sensor_data)

    node = start(image_transport="raw", always_on="true")
    node.wait_for("Waiting for images")
    assert_said("No image so far. Nobody publishes on /image,", node, client, statuses)
