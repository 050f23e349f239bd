"""What the node listens to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks
from kp3d_ros.backlog import LONGEST
from kp3d_ros.connections import own, subscriptions_of, why_nothing_comes
from kp3d_ros.image_taking import ImageTaker, TakenImage
from kp3d_ros.intake import Intake, Take
from kp3d_ros.native_images import native_images
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.qos import overridable
from kp3d_ros.settings import Settings
from kp3d_ros.tf_buffer import TfBuffer
from kp3d_ros.watchdog import Arrivals

_INFOS = 10


def when_set_back(node: Node, call: Callable[[], None]) -> Any:
    """Call a function whenever the node's clock is set back; the result ends that by `unregister`.

    A simulator is reset, a recording begins again, or simulated time is switched on.
    """
    threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1))
    return node.get_clock().create_jump_callback(threshold, post_callback=lambda _: call())


class TfListener:
    """Fills a buffer from /tf and /tf_static while it is open; of the present time only."""

    def __init__(self, node: Node, buffer: TfBuffer) -> None:
        """Subscribe."""
        self._node = node
        self._jumps = when_set_back(node, buffer.clear)
        static = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(
                TFMessage, topic, callback, qos, qos_overriding_options=overridable()
            )
            for topic, callback, qos in (
                ("/tf", buffer.add, QoSProfile(depth=100)),
                ("/tf_static", lambda message: buffer.add(message, static=True), static),
            )
        ]

    def close(self) -> None:
        """Unsubscribe."""
        self._jumps.unregister()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []


class Inputs:
    """The subscriptions for images and what belongs to them; they come and go together."""

    def __init__(
        self,
        node: Node,
        pipeline: Pipeline,
        settings: Settings,
        on_image: Callable[[TakenImage], None],
        on_lost: Callable[[int], None],
        intake: Intake,
    ) -> None:
        """Remember where messages go; call `open` to let them come.

        Args:
            node: owner of the topics.
            pipeline: takes everything but the images.
            settings: of the node.
            on_image: takes the images.
            on_lost: is told of images that were published and did not come, how many.
            intake: takes all messages, in the thread that works on images.
        """
        self._node = node
        self._pipeline = pipeline
        self._settings = settings
        self._on_image = on_image
        self._on_lost = on_lost
        self._intake = intake
        self._subscriptions: dict[str, Any] = {}
        self._takes: dict[Any, Take] = {}
        self._native, why_not = native_images()
        if why_not:
            node.get_logger().info(
                f"Images are taken by rclpy: {why_not}. That costs more time and changes nothing."
            )
        self._jumps: Any = None
        self.arrivals: dict[str, Arrivals] = {}
        """When messages came, by the name of the input: image, camera_info, detections, depth."""

    @property
    def is_open(self) -> bool:
        """Whether messages come in."""
        return bool(self._subscriptions)

    @property
    def image_topic(self) -> str:
        """Full name of the topic of images."""
        topic = str(self._node.resolve_topic_name("image"))
        return f"{topic}/compressed" if self._settings.image_transport == "compressed" else topic

    def open(self) -> None:
        """Subscribe to all topics."""
        pipeline = self._pipeline
        self._jumps = when_set_back(self._node, pipeline.set_back)
        is_compressed = self._settings.image_transport == "compressed"
        # An image takes the calibration of its own stamp: none may be overwritten before.
        put_info = pipeline.calibrations.put
        self._subscribe("camera_info", CameraInfo, "camera_info", put_info, depth=_INFOS)
        put_detections = pipeline.inbox.put_detections
        self._subscribe("detections", Detection2DArray, "detections", put_detections)
        if self._settings.use_depth:
            take = ImageTaker(Image, self._native, lambda _: None)
            self._subscribe("depth", Image, "depth", pipeline.depths.put, take=take)
        kind = CompressedImage if is_compressed else Image
        self._subscribe(
            "image",
            kind,
            self.image_topic,
            self._on_image,
            depth=LONGEST,
            take=ImageTaker(kind, self._native, self._on_lost),
        )
        # Images last: what belongs to one has been taken when its turn comes.
        self._intake.watch(list(self._subscriptions.values()), self._takes)

    def close(self) -> None:
        """Unsubscribe from all topics."""
        if self._jumps is not None:
            self._jumps.unregister()
            self._jumps = None
        self._intake.watch(())
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._subscriptions, self._takes = {}, {}

    def is_published(self, name: str) -> bool:
        """Whether anybody publishes on the topic of an input, whatever its type and QoS."""
        return bool(self._node.count_publishers(self._subscriptions[name].topic_name))

    def why_nothing_comes(self, name: str) -> str:
        """Why an input gets no message, in a sentence or two."""
        topic = self._subscriptions[name].topic_name
        subscription = own(self._node, subscriptions_of(self._node, topic))
        if subscription is None:
            return ""
        return why_nothing_comes(self._node, topic, subscription, argument=name)

    def _subscribe(
        self,
        name: str,
        kind: type,
        topic: str,
        callback: Callable[[Any], None],
        *,
        depth: int = 1,
        take: Take | None = None,
    ) -> None:
        arrivals = self.arrivals[name] = Arrivals()

        def note(message: Any) -> None:
            arrivals.note()
            callback(message)

        # Sensor data. A new profile each time: overrides are written into it.
        qos = QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)
        subscription = self._node.create_subscription(
            kind,
            topic,
            note,
            qos,
            callback_group=self._intake.group,
            # An executor that waits for a subscription's events wakes up for its messages, too,
            # again and again until another thread has taken them.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            qos_overriding_options=overridable(),
            raw=take is not None,
        )
        self._subscriptions[name] = subscription
        if take:
            self._takes[subscription] = take
