"""Quality of service that users may override, and whether what they wrote is read."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from kp3d_ros.outputs import LAYOUT_TOPIC, TF_TOPIC, TOPICS

PREFIX = "qos_overrides."
_VALUES = {
    name: [policy.name.lower() for policy in kind if policy.name != "UNKNOWN"]
    for name, kind in (
        ("history", HistoryPolicy),
        ("reliability", ReliabilityPolicy),
        ("durability", DurabilityPolicy),
    )
}
_POLICIES = (*_VALUES, "depth")
_FORM = f"{PREFIX}TOPIC.subscription.POLICY or {PREFIX}TOPIC.publisher.POLICY"
SUBSCRIBED = (
    "image",
    "image/compressed",
    "camera_info",
    "detections",
    "depth",
    TF_TOPIC,
    "/tf_static",
)
PUBLISHED = (*TOPICS, LAYOUT_TOPIC, TF_TOPIC, "/diagnostics")


def overridable() -> QoSOverridingOptions:
    """Lets users set history, depth, reliability and durability of a topic by parameters."""
    return QoSOverridingOptions([QoSPolicyKind[name.upper()] for name in _POLICIES])


def override_problems(node: Node, overrides: Mapping[str, Any]) -> Iterator[str]:
    """A sentence about each override that would be read by nobody, or cannot be used.

    Args:
        node: the topics' names are as it resolves them.
        overrides: all parameters that the user gave, with their values.
    """
    topics = {
        "subscription": _resolved(node, SUBSCRIBED),
        "publisher": _resolved(node, PUBLISHED),
    }
    for name, value in overrides.items():
        if name.startswith(PREFIX):
            problem = _problem(name, value, topics)
            if problem:
                yield f"Parameter '{name}' {problem}"


def unread_overrides(node: Node, overrides: Iterable[str], opened: Collection[str]) -> list[str]:
    """Names of overrides for inputs that the node has, but does not open with its settings.

    Args:
        node: the topics' names are as it resolves them.
        overrides: names of all parameters that the user gave.
        opened: inputs that it opens, as in `SUBSCRIBED`.
    """
    closed = _resolved(node, SUBSCRIBED) - _resolved(node, opened)
    unread = []
    for name in overrides:
        parts = name.removeprefix(PREFIX).rsplit(".", 2)
        if name.startswith(PREFIX) and parts[0] in closed and parts[1] == "subscription":
            unread.append(name)
    return unread


def _problem(name: str, value: Any, topics: Mapping[str, Collection[str]]) -> str:
    """What is wrong with one override; empty if nothing is."""
    parts = name.removeprefix(PREFIX).rsplit(".", 2)
    if len(parts) != 3 or parts[1] not in topics:
        return f"must have the form {_FORM}."
    topic, entity, policy = parts
    if topic not in topics[entity]:
        return (
            f"is for no {entity} of the node{_hint(topic, topics[entity])} Topics have their full "
            "names, after remapping."
        )
    if policy not in _POLICIES:
        return f"is for no policy that can be set{_hint(policy, _POLICIES)}"
    if policy == "depth":
        is_right = isinstance(value, int) and not isinstance(value, bool) and value > 0
        return "" if is_right else f"must be a positive integer, got {value!r}."
    if not isinstance(value, str) or value.lower() not in _VALUES[policy]:
        return f"must be {' or '.join(_VALUES[policy])}, got {value!r}."
    return ""


def _hint(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f", did you mean '{close[0]}'?" if close else f": there are {', '.join(sorted(known))}."


def _resolved(node: Node, topics: Iterable[str]) -> set[str]:
    names = set()
    for topic in topics:
        base, slash, rest = topic.partition("/compressed")  # follows the topic of raw images
        names.add(str(node.resolve_topic_name(f"{node.resolve_topic_name(base)}{slash}{rest}")))
    return names
