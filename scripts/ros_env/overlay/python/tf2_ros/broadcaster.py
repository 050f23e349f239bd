"""Publish transforms on /tf and /tf_static (tf2 design: https://docs.ros.org/en/rolling/p/tf2/)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

Transforms: TypeAlias = TransformStamped | Sequence[TransformStamped]


def _as_list(transforms: Transforms) -> list[Any]:
    return list(transforms) if isinstance(transforms, Sequence) else [transforms]


class TransformBroadcaster:
    """Publishes transforms that change."""

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        """Open /tf.

        Args:
            node: a node, or anything else with `create_publisher`.
            qos: default: reliable, volatile, depth 100, as listeners expect.
        """
        if qos is None:
            qos = QoSProfile(depth=100, history=HistoryPolicy.KEEP_LAST)
        self.pub_tf = node.create_publisher(TFMessage, "/tf", qos)

    def sendTransform(self, transform: Transforms) -> None:
        """Publish one transform or several in one message."""
        self.pub_tf.publish(TFMessage(transforms=_as_list(transform)))


class StaticTransformBroadcaster:
    """Publishes transforms that never change; late subscribers get them, too."""

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        """Open /tf_static.

        Args:
            node: a node, or anything else with `create_publisher`.
            qos: default: reliable, transient-local, depth 1.
        """
        if qos is None:
            qos = QoSProfile(
                depth=1,
                history=HistoryPolicy.KEEP_LAST,
                durability=DurabilityPolicy.TRANSIENT_LOCAL,
            )
        self._by_child: dict[str, TransformStamped] = {}
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos)

    def sendTransform(self, transform: Transforms) -> None:
        """Publish all transforms sent so far; one with a known child frame replaces the old."""
        for single in _as_list(transform):
            self._by_child[single.child_frame_id] = single
        self.pub_tf.publish(TFMessage(transforms=list(self._by_child.values())))
