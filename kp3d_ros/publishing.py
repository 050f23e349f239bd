"""The node's publishers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from kp3d_ros import messages
from kp3d_ros.answer import Answer
from kp3d_ros.keypoint_bytes import KeypointBytes
from kp3d_ros.msg import KeypointLayout
from kp3d_ros.outputs import (
    KEYPOINTS_TOPIC,
    LAYOUT_TOPIC,
    TF_TOPIC,
    TOPICS,
    layouts,
    pose_messages,
)
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.qos import overridable
from kp3d_ros.settings import Settings


class Outputs:
    """Publishes answers with the stamp and frame of their image."""

    def __init__(self, node: Node, pipeline: Pipeline, own_tf_listeners: int = 0) -> None:
        """Open the topics and publish the keypoint layouts.

        Args:
            node: owner of the topics.
            pipeline: where the answers come from.
            own_tf_listeners: how many of those who listen to /tf are the node itself.
        """
        self._node = node
        self._own_tf_listeners = own_tf_listeners
        self._publishers: dict[str, Any] = {}
        self._keypoints = KeypointBytes()
        for topic, kind in TOPICS.items():
            self._open(kind, topic, QoSProfile(depth=10))
        # One message for each category stays for late listeners.
        count = len(pipeline.categories)
        latched = QoSProfile(depth=count, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        layout = self._open(KeypointLayout, LAYOUT_TOPIC, latched)
        self._tf = node.create_publisher(
            TFMessage, TF_TOPIC, QoSProfile(depth=100), qos_overriding_options=overridable()
        )
        for message in layouts(pipeline.categories, node.get_clock().now().to_msg()):
            layout.publish(message)

    def wanted(self) -> set[str]:
        """Topics that somebody else listens to; from any thread.

        The node's list of subscriptions would tell the same, but another thread changes it.
        """
        topics = {topic for topic in TOPICS if self._publishers[topic].get_subscription_count() > 0}
        if self._tf.get_subscription_count() > self._own_tf_listeners:
            topics.add(TF_TOPIC)
        return topics

    @property
    def example(self) -> str:
        """Full name of the topic that most users want."""
        return str(self._publishers[KEYPOINTS_TOPIC].topic_name)

    @property
    def topics(self) -> list[str]:
        """Full names of all topics."""
        return [str(p.topic_name) for p in (*self._publishers.values(), self._tf)]

    def publish_keypoints(self, answer: Answer, wanted: Collection[str]) -> None:
        """Publish what is known as soon as objects are found.

        Args:
            answer: of the pipeline.
            wanted: topics that somebody listens to.
        """
        if KEYPOINTS_TOPIC in wanted:
            self._publishers[KEYPOINTS_TOPIC].publish(self._keypoints.of(answer))

    def publish_poses(
        self, answer: Answer, settings: Settings, wanted: Collection[str], remembered: bool
    ) -> None:
        """Publish the rest of what an image showed.

        Args:
            answer: of the pipeline, with places.
            settings: what to publish and how.
            wanted: topics that somebody listens to.
            remembered: whether any object is in sight or was until a moment ago.
        """
        self._publish(pose_messages(answer, settings, wanted, remembered))

    def _publish(self, items: Iterable[tuple[str, Any]]) -> None:
        for topic, message in items:
            (self._tf if topic == TF_TOPIC else self._publishers[topic]).publish(message)

    def clear(self) -> None:
        """Take away all markers."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        message = MarkerArray(markers=[messages.no_markers(header)])
        for topic, kind in TOPICS.items():
            if kind is MarkerArray:
                self._publishers[topic].publish(message)

    def close(self) -> None:
        """Give the topics up."""
        for publisher in (*self._publishers.values(), self._tf):
            self._node.destroy_publisher(publisher)
        self._publishers = {}

    def _open(self, kind: type, topic: str, qos: QoSProfile) -> Any:
        publisher = self._node.create_publisher(
            kind, topic, qos, qos_overriding_options=overridable()
        )
        self._publishers[topic] = publisher
        return publisher
