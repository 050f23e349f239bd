"""Who is at the other end of a topic, and why no message comes through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, qos_check_compatible

RESULT_TYPE = "kp3d_ros/msg/Keypoints3DArray"
UNNAMED = "a node without a name"
_SHOWN = 5
_IMAGES = {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"}
_COMPRESSED = "/compressed"
"""What image_transport adds to the name of a topic; users remap the name without it."""
_WEAKEST = {"reliability": "best_effort", "durability": "volatile"}
"""For each policy the value that offers, and asks for, the least."""


@dataclass(frozen=True, eq=False)
class Endpoint:
    """A publisher or subscription of some node."""

    node: str
    type_name: str
    """For example sensor_msgs/msg/Image."""
    qos: QoSProfile


def type_name_of(kind: type) -> str:
    """Name of a message class as ROS 2 tools print it, for example sensor_msgs/msg/Image."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def name_of(node: Node) -> str:
    """Full name of a node."""
    return str(node.get_fully_qualified_name())


def own(node: Node, endpoints: Iterable[Endpoint]) -> Endpoint | None:
    """That of a node; None as long as its middleware does not tell.

    Asked of the middleware, since profiles that were given to it may still hold defaults.
    """
    return next((item for item in endpoints if item.node == name_of(node)), None)


def publishers_of(node: Node, topic: str) -> list[Endpoint]:
    """All publishers on a topic, whatever their type and QoS."""
    return [_endpoint(info) for info in node.get_publishers_info_by_topic(topic)]


def subscriptions_of(node: Node, topic: str) -> list[Endpoint]:
    """All subscriptions of a topic, whatever their type and QoS."""
    return [_endpoint(info) for info in node.get_subscriptions_info_by_topic(topic)]


def kp3d_nodes(node: Node) -> set[str]:
    """Full names of all running nodes of this package, known by the messages they publish."""
    return {
        publisher.node
        for topic, types in node.get_topic_names_and_types()
        if RESULT_TYPE in types
        for publisher in publishers_of(node, topic)
    }


def mismatch(publisher: Endpoint, subscription: Endpoint) -> str:
    """Why a subscription gets nothing from a publisher, for example "durability"; empty if it does.

    Words: "type", or the QoS policies that do not fit, separated by commas.
    """
    if publisher.type_name != subscription.type_name:
        return "type"
    compatibility, _ = qos_check_compatible(publisher.qos, subscription.qos)
    if compatibility != QoSCompatibility.ERROR:
        return ""
    # The reason that DDS gives is worded differently by each version: the policies are compared
    # one by one instead.
    return ", ".join(_unfit(publisher.qos, subscription.qos)) or "QoS"


def why_nothing_comes(node: Node, topic: str, wanted: Endpoint, *, argument: str) -> str:
    """One sentence or two: why a subscription has got no message, and what to do.

    Args:
        node: asks; need not be the one that subscribes.
        topic: full name.
        wanted: the subscription.
        argument: name by which users remap the topic, for example "image".
    """
    publishers = publishers_of(node, topic)
    if not publishers:
        return _nobody_publishes(node, topic, wanted, argument)
    problems = [mismatch(publisher, wanted) for publisher in publishers]
    if all(problems):
        return " ".join(
            dict.fromkeys(
                _does_not_fit(topic, publisher, wanted, problem)
                for publisher, problem in zip(publishers, problems, strict=True)
            )
        )
    fitting = [p for p, problem in zip(publishers, problems, strict=True) if not problem]
    names = _listed(publisher.node for publisher in fitting)
    keeps = [p for p in fitting if p.qos.durability == DurabilityPolicy.TRANSIENT_LOCAL]
    if keeps and wanted.qos.durability != DurabilityPolicy.TRANSIENT_LOCAL:
        return (
            f"{names} publishes on {topic} and keeps its last message for those who ask for it "
            "(durability transient_local); this node does not. Set "
            f"qos_overrides.{topic}.subscription.durability to transient_local."
        )
    return (
        f"{names} publishes on {topic}, but nothing comes. Check that it sends (ros2 topic hz "
        f"{topic}), and that large messages get through: docs/troubleshooting.md."
    )


def deaf_listeners(node: Node, topic: str) -> list[str]:
    """A sentence for each subscription that wants one of the node's topics and cannot get it."""
    ours = own(node, publishers_of(node, topic))
    if ours is None:
        return []
    sentences = []
    for listener in subscriptions_of(node, topic):
        policies = mismatch(ours, listener)
        if policies == "type":
            sentences.append(
                f"{listener.node} listens to {topic} as {listener.type_name}, it is "
                f"{ours.type_name}: it gets nothing."
            )
        elif policies:
            asked = _values(listener.qos, policies)
            sentences.append(
                f"{listener.node} listens to {topic} with {asked}, which {ours.node} does not "
                f"offer ({_values(ours.qos, policies)}): it gets nothing. Change that of the "
                f"listener, or set {_override(topic, 'publisher', policies, listener.qos)}."
            )
    return sentences


def _nobody_publishes(node: Node, topic: str, wanted: Endpoint, argument: str) -> str:
    type_name = wanted.type_name
    ours = {*kp3d_nodes(node), wanted.node}  # what they draw is no camera image

    def published(type_name: str) -> list[str]:
        names = [
            name
            for name, types in node.get_topic_names_and_types()
            if type_name in types and any(p.node not in ours for p in publishers_of(node, name))
        ]
        return sorted(names, key=lambda name: ("depth" in name and argument != "depth", name))

    base, is_compressed = topic.removesuffix(_COMPRESSED), topic.endswith(_COMPRESSED)
    twin = base if is_compressed else f"{topic}{_COMPRESSED}"
    for other in _IMAGES - {type_name} if argument == "image" else ():
        if twin in published(other):
            return (
                f"Nobody publishes on {topic}, but there is {twin} ({other}). Set "
                f"'image_transport' to {'raw' if is_compressed else 'compressed'}."
            )
    if others := published(type_name):
        return (
            f"Nobody publishes on {topic}. Topics of type {type_name}: {_listed(others)}. "
            f"Remap it, for example {argument}:={others[0].removesuffix(_COMPRESSED)}."
        )
    return (
        f"Nobody publishes on {topic}, and there is no other topic of type {type_name}. Start its "
        "publisher, with the same ROS_DOMAIN_ID and the same middleware (RMW_IMPLEMENTATION)."
    )


def _does_not_fit(topic: str, publisher: Endpoint, wanted: Endpoint, policies: str) -> str:
    if policies == "type":
        text = (
            f"{topic} is of type {publisher.type_name} ({publisher.node} publishes it), and must "
            f"be of type {wanted.type_name}."
        )
        if {publisher.type_name, wanted.type_name} == _IMAGES:
            return f"{text} Set 'image_transport' to what there is, or remap to another topic."
        return f"{text} Remap to another topic."
    return (
        f"{publisher.node} publishes {topic} with {_values(publisher.qos, policies)}, this node "
        f"asks for {_values(wanted.qos, policies)}: nothing comes through. Set "
        f"{_override(topic, 'subscription', policies, publisher.qos)}."
    )


def _unfit(publisher: QoSProfile, subscription: QoSProfile) -> list[str]:
    """Policies of which the subscription asks for more than the publisher offers."""
    return [
        policy
        for policy, weakest in _WEAKEST.items()
        if getattr(publisher, policy) != getattr(subscription, policy)
        and _value(publisher, policy) == weakest
    ]


def _values(qos: QoSProfile, policies: str) -> str:
    names = [name for name in policies.split(", ") if name in _WEAKEST]
    return " and ".join(f"{name} {_value(qos, name)}" for name in names) or "another QoS"


def _override(topic: str, entity: str, policies: str, qos: QoSProfile) -> str:
    """The parameters that make one end do as the other one does."""
    names = [name for name in policies.split(", ") if name in _WEAKEST]
    if not names:
        return f"one of them as the other (ros2 topic info --verbose {topic})"
    return " and ".join(
        f"qos_overrides.{topic}.{entity}.{name} to {_value(qos, name)}" for name in names
    )


def _value(qos: QoSProfile, policy: str) -> str:
    return str(getattr(qos, policy).name).lower()


def _listed(names: Iterable[str]) -> str:
    unique: Sequence[str] = list(dict.fromkeys(names))
    more = f" and {len(unique) - _SHOWN} more" if len(unique) > _SHOWN else ""
    return ", ".join(unique[:_SHOWN]) + more


def _endpoint(info: Any) -> Endpoint:
    name = f"{info.node_namespace.rstrip('/')}/{info.node_name}"
    # The middleware knows of a topic a little earlier than of the node's name.
    return Endpoint(UNNAMED if "UNKNOWN" in name else name, info.topic_type, info.qos_profile)
