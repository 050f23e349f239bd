"""A ROS 2 graph for each test that no other process on this machine or network takes part in."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from kp3d_ros.demo.transport import configure_transport

if TYPE_CHECKING:
    from rclpy.node import Node

# Read when rclpy starts. Up to 101 a domain's ports lie below those Linux gives away by itself.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"  # Iron and later
os.environ["ROS_LOCALHOST_ONLY"] = "1" if os.environ.get("ROS_DISTRO") == "humble" else "0"
# Fast DDS reads this project's file once in a process, and nodes started by tests inherit it.
for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
    os.environ.pop(name, None)
configure_transport()

# Without ROS 2 the test files here cannot even be imported.
collect_ignore_glob = [] if importlib.util.find_spec("rclpy") else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):
            item.add_marker(pytest.mark.ros)


@pytest.fixture
def make_node() -> Iterator[Callable[[str], Node]]:
    """Create nodes in a context that ends with the test."""
    import rclpy
    from rclpy.context import Context

    context = Context()
    rclpy.init(context=context)
    nodes = []

    def make(name: str) -> Node:
        nodes.append(rclpy.create_node(name, context=context))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def spin_until() -> Callable[..., None]:
    """Spin nodes until a condition holds; fail the test after a while."""

    def spin(
        condition: Callable[[], Any], *nodes: Node, timeout_s: float = 10, each: Any = None
    ) -> None:
        from rclpy.executors import SingleThreadedExecutor

        executor = SingleThreadedExecutor(context=nodes[0].context)
        for node in nodes:
            executor.add_node(node)
        end = monotonic() + timeout_s
        while not condition() and monotonic() < end:
            if each:
                each()
            executor.spin_once(timeout_sec=0.05)
        for node in nodes:
            executor.remove_node(node)
        executor.shutdown()
        assert condition(), f"not within {timeout_s} s"

    return spin
