"""The real node, a simulated camera and a listener to all results, for the tests of trust."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from kp3d_ros.demo.command import SEED
from kp3d_ros.demo.film import Film, shot
from kp3d_ros.demo.stream import NAMESPACE, NodeProcess, SimulatedCamera, running_node
from kp3d_ros.demo.transport import configure_transport
from kp3d_ros.msg import Keypoints3DArray

_ANSWER_TIMEOUT_S = 60.0
_ABSENT = {"covariance", "model_unit_m", "orientation_score"}
"""Fields in which NaN is said to mean "not known"."""


@dataclass
class Verdict:
    """What was measured, and which bounds were broken."""

    figures: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


class Rig:
    """The node, a simulated camera with a few images of a car, and a listener to all results."""

    def __init__(self, node: NodeProcess, film: Film) -> None:
        """Open the topics and wait for the node."""
        self.node = node
        self.camera = SimulatedCamera(film, seed=0)
        self.film = film
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.camera)
        self.not_finite: list[str] = []
        create = self.camera.create_publisher
        sensor = qos_profile_sensor_data
        self.compressed = create(CompressedImage, f"{NAMESPACE}/image/compressed", sensor)
        self.tf = create(TFMessage, "/tf", QoSProfile(depth=100))
        for kind, topic in (
            (Keypoints3DArray, f"{NAMESPACE}/detector/keypoints"),
            (PoseWithCovarianceStamped, f"{NAMESPACE}/detector/pose"),
            (PoseWithCovarianceStamped, f"{NAMESPACE}/detector/relative_pose"),
            (Detection3DArray, f"{NAMESPACE}/detector/detections_3d"),
            (MarkerArray, f"{NAMESPACE}/detector/markers"),
        ):
            self.camera.create_subscription(kind, topic, self._check, 10)
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        while not self.camera.is_connected():
            node.check_alive()
            self.spin(0.1)
            if time.monotonic() > deadline:
                raise RuntimeError(f"The node did not answer. It printed: {node.output()}")

    def spin(self, seconds: float) -> None:
        """Let messages come in."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def send_good(self, index: int, *, with_detection: bool = True) -> int:
        """Publish a good image with calibration, and a box if wanted; returns its stamp [ns]."""
        index %= len(self.film)
        self.camera.publish(index, self.camera.prepare(index), with_detection=with_detection)
        return next(reversed(self.camera.recording.sent))

    def look(self, with_detection: bool, timeout_s: float) -> tuple[str, list[int]]:
        """Send good images until one is answered with an object.

        Args:
            with_detection: tell the node where it is; else it must know.
            timeout_s: give up after this time [s].

        Returns:
            Identity of the object, empty if none was found; stamps of the images [ns].
        """
        end, recording = time.monotonic() + timeout_s, self.camera.recording
        stamps: list[int] = []
        while time.monotonic() < end:
            self.node.check_alive()
            stamps.append(self.send_good(0, with_detection=with_detection))
            due = time.monotonic() + 0.1
            while time.monotonic() < due:
                self.executor.spin_once(timeout_sec=max(0.0, due - time.monotonic()))
                answers = [recording.keypoints[s] for s in stamps if s in recording.keypoints]
                found = [item.instance_id for answer in answers for item in answer.instances]
                if found:
                    return found[-1], stamps
        return "", stamps

    def close(self) -> None:
        """Give the topics back."""
        self.executor.shutdown()
        self.camera.destroy_node()

    def _check(self, message: Any) -> None:
        self.not_finite += list(not_finite(message))


def not_finite(message: Any, name: str = "") -> Iterator[str]:
    """Names of the fields of a message that hold infinite numbers, or NaN without a meaning."""
    if isinstance(message, float):
        if math.isinf(message) or (math.isnan(message) and name not in _ABSENT):
            yield name
    elif isinstance(message, np.ndarray):
        if message.dtype.kind == "f" and not np.isfinite(message).all():
            yield name
    elif hasattr(message, "get_fields_and_field_types"):
        for field_name in message.get_fields_and_field_types():
            yield from not_finite(getattr(message, field_name), field_name)
    elif isinstance(message, (list, tuple)):
        for item in message:
            yield from not_finite(item, name)


@contextmanager
def rig_with(model: str, log: Path, images: int = 12, **parameters: Any) -> Iterator[Rig]:
    """A running node with a rig around it."""
    configure_transport()
    film = shot(SEED, images, 12.0, "black")
    with running_node(model, log, **parameters) as node, closing(Rig(node, film)) as rig:
        # A collection of everything takes 100 ms, in which a camera of 30 Hz would send nothing and
        # then three images at once: lost ones would be its fault.
        gc.collect()
        gc.freeze()
        try:
            yield rig
        finally:
            gc.unfreeze()
