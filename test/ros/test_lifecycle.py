"""Managed life: configure, activate, deactivate, clean up, as a lifecycle manager asks for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import GetState
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.utilities import get_rmw_implementation_identifier
from visualization_msgs.msg import Marker

from kp3d_ros.demo.measure import pose_matrix
from kp3d_ros.detector_node import DetectorNode

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "test/core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import CAMERA, UNIT_M, Client, NodeProcess, open_client, pose  # noqa: E402
from node_rig import change_state as change  # noqa: E402
from tiny_model import draw_scene, write_tiny_model  # noqa: E402

T_CAMERA_OBJECT = pose(2.0, (0.1, 0.05, 2.0))


@pytest.fixture
def client() -> Iterator[Client]:
    with open_client(wait=False) as opened:
        yield opened


def state(client: Client) -> int:
    return int(client.call(GetState, "get_state", GetState.Request()).current_state.id)


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[NodeProcess]:
    node = NodeProcess(
        tmp_path / "node.log",
        autostart="false",
        model=tmp_path / "missing.onnx",
        object_size=2 * UNIT_M,
        threads=1,
    )
    yield node
    assert node.stop() == 0
    assert "Traceback" not in node.log()


def test_life_under_a_manager(managed: NodeProcess, client: Client, tmp_path: Path) -> None:
    image = draw_scene(CAMERA, T_CAMERA_OBJECT, UNIT_M)
    statuses: list[DiagnosticArray] = []
    client.node.create_subscription(DiagnosticArray, "/diagnostics", statuses.append, 10)
    assert state(client) == State.PRIMARY_STATE_UNCONFIGURED

    # It says what it waits for, once.
    text = "Unconfigured: the node waits for a lifecycle manager. By hand: ros2 lifecycle set"
    client.spin(lambda: any(text in s.status[0].message for s in statuses))
    assert managed.log().count(text) == 1

    # A bad model is refused with the reason, everywhere a user may look.
    assert not change(client, Transition.TRANSITION_CONFIGURE)
    assert state(client) == State.PRIMARY_STATE_UNCONFIGURED
    assert "missing.onnx (no such file)" in managed.log()
    client.spin(lambda: any("no such file" in s.status[0].message for s in statuses))

    # With a good one the same node can be configured.
    good = write_tiny_model(tmp_path / "tiny.onnx")
    assert client.set_parameter("model", str(good)).successful
    assert change(client, Transition.TRANSITION_CONFIGURE)
    assert state(client) == State.PRIMARY_STATE_INACTIVE
    assert client.node.count_subscribers("image") == 0
    assert not client.set_reference().success
    assert "read when the node is configured" in client.set_parameter("model", "car").reason

    for _ in range(2):  # activate and deactivate as often as wanted
        assert change(client, Transition.TRANSITION_ACTIVATE)
        client.spin(client.connected)
        stamp = client.see(image)
        T = pose_matrix(client.poses[stamp].pose.pose)
        np.testing.assert_allclose(T[:3, 3], T_CAMERA_OBJECT[:3, 3], atol=0.02)

        client.markers.clear()
        assert change(client, Transition.TRANSITION_DEACTIVATE)
        client.spin(lambda: client.node.count_subscribers("image") == 0)
        # Nothing stale stays in RViz.
        client.spin(lambda: client.markers)
        assert client.markers[-1].markers[0].action == Marker.DELETEALL

    assert change(client, Transition.TRANSITION_CLEANUP)
    assert state(client) == State.PRIMARY_STATE_UNCONFIGURED
    client.spin(lambda: client.node.count_publishers("detector/keypoints") == 0)
    assert change(client, Transition.TRANSITION_CONFIGURE)
    assert change(client, Transition.TRANSITION_ACTIVATE)
    client.spin(client.connected)
    client.see(image)
    assert change(client, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert state(client) == State.PRIMARY_STATE_FINALIZED


@pytest.mark.skipif(
    "fastrtps" not in get_rmw_implementation_identifier(), reason="a setting of Fast DDS"
)
def test_answers_wait_for_clients_not_known_yet(managed: NodeProcess, client: Client) -> None:
    """A manager that calls a node in its first second must not wait for ever."""
    # Its reader never fits the service's writer: to the service it is a client half discovered.
    lasting = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    stranger = client.node.create_client(GetState, "detector/get_state", qos_profile=lasting)
    waits = [0.0]
    while waits[-1] < 1 and len(waits) < 10:  # until the stranger's request arrives
        assert state(client) == State.PRIMARY_STATE_UNCONFIGURED
        stranger.call_async(GetState.Request())
        start = monotonic()
        assert state(client) == State.PRIMARY_STATE_UNCONFIGURED
        waits.append(monotonic() - start)
    assert waits[-1] > 1, waits  # by default a tenth of a second
    assert "client will not receive response" in managed.log()


def test_nothing_is_computed_while_nobody_listens(
    managed: NodeProcess, client: Client, tmp_path: Path
) -> None:
    image = draw_scene(CAMERA, T_CAMERA_OBJECT, UNIT_M)
    assert client.set_parameter("model", str(write_tiny_model(tmp_path / "t.onnx"))).successful
    assert change(client, Transition.TRANSITION_CONFIGURE)
    assert change(client, Transition.TRANSITION_ACTIVATE)
    client.spin(client.connected)
    client.see(image)

    client.stop_listening()
    client.spin(lambda: client.node.count_subscribers("image") == 0)

    assert client.set_parameter("always_on", True).successful
    client.spin(lambda: client.node.count_subscribers("image") == 1)


def test_bug_in_a_transition_is_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(node: DetectorNode) -> None:
        raise AttributeError("nobody thought of that")

    monkeypatch.setattr(DetectorNode, "_follow_demand", fail)
    context = Context()
    rclpy.init(context=context)
    parameters = [
        Parameter("model", value=str(write_tiny_model(tmp_path / "tiny.onnx"))),
        Parameter("engine", value="onnxruntime"),
    ]
    node = DetectorNode(context=context, parameter_overrides=parameters)
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    node.trigger_activate()
    node.destroy_node()
    rclpy.shutdown(context=context)

    log = capfd.readouterr().err
    assert "on_activate failed, by a bug:" in log
    assert "AttributeError: nobody thought of that" in log
