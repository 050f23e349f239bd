"""What can be seen of a running system: topics, their QoS and rates, and kp3d's nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from kp3d_ros.connections import (
    UNNAMED,
    Endpoint,
    kp3d_nodes,
    publishers_of,
    subscriptions_of,
    type_name_of,
    why_nothing_comes,
)
from kp3d_ros.doctor.finding import Finding, note, ok, problem
from kp3d_ros.doctor.messages import check

ARGUMENTS = {
    type_name_of(Image): "image",
    type_name_of(CompressedImage): "image",
    type_name_of(CameraInfo): "camera_info",
    type_name_of(Detection2DArray): "detections",
}
"""Launch argument for each type of message that the node takes."""
_KINDS = {type_name_of(k): k for k in (Image, CompressedImage, CameraInfo, Detection2DArray)}
_LEVELS = {DiagnosticStatus.OK: ok, DiagnosticStatus.WARN: problem}
_SETTLE_S = 0.5
"""Before that it is not known of everything new whose it is."""


@dataclass
class _Counter:
    """What is known of a topic that a node could take."""

    type_name: str
    since_s: float
    node: Node
    subscription: Any = None
    count: int = 0
    first: bytes = b""
    first_s: float = 0.0
    """When it came, by the clock of this machine [s]."""

    def take(self, data: bytes) -> None:
        if not self.count:
            self.first, self.first_s = data, self.node.get_clock().now().nanoseconds * 1e-9
        self.count += 1


@dataclass
class Graph:
    """What was seen in a while."""

    node: Node
    counters: dict[str, _Counter] = field(default_factory=dict)
    statuses: dict[str, DiagnosticStatus] = field(default_factory=dict)
    """The last one of each of kp3d's nodes, by their full names without the first slash."""

    def topics(self) -> Iterator[Finding]:
        """Each topic that a node could take: type, publishers, QoS, rate, first message."""
        found = False
        for topic, counter in sorted(self.counters.items()):
            publishers = publishers_of(self.node, topic)
            if publishers and counter.subscription is not None:
                found = True
                yield self._topic(topic, counter, publishers)
        if not found:
            yield note(
                "topics",
                "no images, CameraInfo or detections can be seen",
                "Start the camera. If it runs: the same ROS_DOMAIN_ID and RMW_IMPLEMENTATION?",
            )

    def nodes(self) -> Iterator[Finding]:
        """Each running kp3d node: what it says of itself, or else who feeds it."""
        names = sorted(kp3d_nodes(self.node))
        if not names:
            yield note("nodes", "no kp3d node runs", self._launch_line())
        for name in names:
            status = self.statuses.get(name.lstrip("/"))
            if status is not None:
                yield _told(name, status)
                continue
            yield note(name, "runs, but said nothing on /diagnostics")
            yield from self._inputs(name)

    def _topic(self, topic: str, counter: _Counter, publishers: list[Endpoint]) -> Finding:
        rate = counter.count / max(monotonic() - counter.since_s, 1e-3)
        senders = ", ".join(
            f"{p.node} ({p.qos.reliability.name}, {p.qos.durability.name})".lower()
            for p in publishers
        )
        text = f"{counter.type_name}, {rate:.1f} Hz, from {senders}"
        if not counter.first:
            return note(topic, f"{text}: no message came", f"ros2 topic hz {topic}")
        message = deserialize_message(counter.first, _KINDS[counter.type_name])
        facts, fault = check(message, counter.first_s)
        if fault:
            return problem(topic, f"{text}; {facts}", fault)
        if counter.count == 1 and _are_latched(publishers):
            return note(
                topic,
                f"{text}; {facts}: sent once, and kept for those who ask for it",
                f"Set qos_overrides.{topic}.subscription of the node: durability transient_local, "
                "reliability reliable.",
            )
        return ok(topic, f"{text}; {facts}")

    def _inputs(self, name: str) -> Iterator[Finding]:
        """Whatever a node subscribes to and does not get."""
        for topic, counter in self.counters.items():
            for endpoint in subscriptions_of(self.node, topic):
                if endpoint.node != name or endpoint.type_name not in ARGUMENTS or counter.count:
                    continue
                argument = ARGUMENTS[endpoint.type_name]
                why = why_nothing_comes(self.node, topic, endpoint, argument=argument)
                is_optional = argument == "detections"
                yield (note if is_optional else problem)(f"{name} <- {topic}", why)

    def _launch_line(self) -> str:
        """How to start the node on the first camera that can be seen."""
        images = [
            t for t, c in sorted(self.counters.items()) if c.type_name == "sensor_msgs/msg/Image"
        ]
        if not images:
            return "ros2 launch kp3d_ros detector.launch.py"
        info = f"{images[0].rpartition('/')[0]}/camera_info"
        return f"ros2 launch kp3d_ros detector.launch.py image:={images[0]} camera_info:={info}"


@contextmanager
def observe(seconds: float) -> Iterator[Graph]:
    """Look at the running system for a while; gives what was seen, and closes everything after.

    Args:
        seconds: how long to look and to count messages.
    """
    context = Context()
    rclpy.init(context=context)
    node = Node("kp3d_doctor", context=context, use_global_arguments=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    graph = Graph(node)
    node.create_subscription(DiagnosticArray, "/diagnostics", lambda m: _keep(graph, m), 10)
    end = monotonic() + seconds
    try:
        while monotonic() < end:
            _subscribe(graph)
            executor.spin_once(timeout_sec=0.05)
        yield graph
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


def _keep(graph: Graph, message: DiagnosticArray) -> None:
    for status in message.status:
        if status.name.endswith(": images"):
            graph.statuses[status.name.removesuffix(": images")] = status


def _told(name: str, status: DiagnosticStatus) -> Finding:
    """What a node says of itself."""
    facts = {item.key: item.value for item in status.values}
    text = (
        f"{status.message.rstrip('.')}; images received at {facts.get('rate received [Hz]', '?')} "
        f"Hz, processed at {facts.get('rate processed [Hz]', '?')} Hz"
    )
    return _LEVELS.get(status.level, problem)(name, text, facts.get("advice", ""))


def _subscribe(graph: Graph) -> None:
    """Count on each topic of a known type that has come up.

    Not on what kp3d's nodes publish: they would wake up, and say nothing of having been idle.
    """
    ours = None
    for topic, types in graph.node.get_topic_names_and_types():
        kinds = [name for name in types if name in _KINDS]
        if len(kinds) != 1:
            continue
        counter = graph.counters.setdefault(topic, _Counter(kinds[0], monotonic(), graph.node))
        if counter.subscription is not None or monotonic() - counter.since_s < _SETTLE_S:
            continue
        ours = kp3d_nodes(graph.node) if ours is None else ours
        publishers = publishers_of(graph.node, topic)
        if any(p.node in (UNNAMED, *ours) for p in publishers):
            continue
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        if _are_latched(publishers):
            qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
            qos.reliability = ReliabilityPolicy.RELIABLE  # else nothing that was kept is sent
        counter.since_s = monotonic()
        counter.subscription = graph.node.create_subscription(
            _KINDS[kinds[0]],
            topic,
            counter.take,
            qos,
            raw=True,
        )


def _are_latched(publishers: list[Endpoint]) -> bool:
    """Whether all keep their last messages for those who come later."""
    return bool(publishers) and all(
        p.qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
        and p.qos.reliability == ReliabilityPolicy.RELIABLE
        for p in publishers
    )
