"""Whoever sees nothing finds the reason in five seconds: once in the log, and in diagnostics."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray
from rosgraph_msgs.msg import Clock
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


def time_of(text: str, node: NodeProcess) -> float:
    """When the node logged a text [s]."""
    (line,) = (line for line in node.log().splitlines() if text in line)
    return float(line.split("[")[2].split("]")[0])


def assert_said(
    text: str, node: NodeProcess, client: Client, statuses: list[Any], each: Any = None
) -> DiagnosticStatus:
    """The log says it, once, and diagnostics do; returns the status."""
    client.spin(lambda: text in node.log(), each)
    client.spin(lambda: any(text in status.message for status in statuses), each)
    count = len(statuses)
    client.spin(lambda: len(statuses) > count, each)
    assert node.log().count(text) == 1
    return next(status for status in statuses if text in status.message)


def test_time_object_and_images_that_do_not_come(
    client: Client, start: Callable[..., NodeProcess], statuses: list[DiagnosticStatus]
) -> None:
    node = start(use_sim_time="true")
    client.node.destroy_publisher(client.boxes)  # nobody says where to look
    client.spin(client.connected)

    def send(rgb: NDArray[np.uint8]) -> None:
        image = image_message(rgb)
        image.header.stamp = client.node.get_clock().now().to_msg()
        client.info.header = image.header
        client.infos.publish(client.info)
        client.images.publish(image)

    # Simulated time stands still, and images are answered all the same.
    status = assert_said(
        "'use_sim_time' is set, but no time comes on /clock",
        node, client, statuses, lambda: send(SCENE),
    )  # fmt: skip
    assert status.level == DiagnosticStatus.WARN
    begin, end = (time_of(text, node) for text in ("Waiting for images", "'use_sim_time'"))
    assert end - begin < LIMIT_S
    assert client.keypoints
    assert not any("latency" in item.key for item in status.values)  # which nobody knows
    assert "the whole image is searched" in node.log()

    # There is time, and no object.
    clock = client.node.create_publisher(Clock, "/clock", 10)

    def send_with_time() -> None:
        clock.publish(Clock(clock=client.node.get_clock().now().to_msg()))
        send(np.zeros((480, 640, 3), np.uint8))

    status = assert_said("No object in the last", node, client, statuses, send_with_time)
    assert status.level == DiagnosticStatus.OK  # there may be none
    assert "raise 'max_wrong'" in status.message

    status = assert_said("No image for 3 s.", node, client, statuses)
    assert status.level == DiagnosticStatus.WARN
    assert "/client publishes on /image, but nothing comes" in status.message


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
