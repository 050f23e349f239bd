"""Plays a film to the real node, which runs in its own process, and records what it answers."""

from __future__ import annotations

import array
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from kp3d_ros.demo import scene
from kp3d_ros.demo.film import Film
from kp3d_ros.demo.process import RosProcess
from kp3d_ros.msg import KeypointLayout, Keypoints3DArray

NAMESPACE = "/kp3d_demo"
CAMERA_FRAME = "camera_optical_frame"
DETECTION_PERIOD_S = 1.0
"""Time between two messages of the simulated detector [s]."""
DETECTION_NOISE_PX = 3.0
"""Standard deviation of the edges of its boxes [px]."""
_START_TIMEOUT_S = 60.0
_LAST_IMAGE_TIMEOUT_S = 1.0


@dataclass
class Recording:
    """What was sent and received; times in nanoseconds of the ROS clock, keyed by image stamp."""

    sent: dict[int, int] = field(default_factory=dict)
    """Index of the image."""
    received: dict[int, int] = field(default_factory=dict)
    """When the keypoints arrived."""
    keypoints: dict[int, Keypoints3DArray] = field(default_factory=dict)
    poses: dict[int, PoseWithCovarianceStamped] = field(default_factory=dict)
    relative_poses: dict[int, PoseWithCovarianceStamped] = field(default_factory=dict)
    transforms: dict[int, TFMessage] = field(default_factory=dict)
    layout: KeypointLayout | None = None
    reports: list[dict[str, str]] = field(default_factory=list)
    """What the node said on /diagnostics, once a second."""

    @property
    def diagnostics(self) -> dict[str, str]:
        """The last report; empty before the first."""
        return self.reports[-1] if self.reports else {}


class NodeProcess(RosProcess):
    """The detector node in a process of its own."""

    def __init__(self, model: str, log: Path, **more: Any) -> None:
        """Start it; its output goes to the file `log`.

        Args:
            model: model file, or name of a shipped model.
            log: file for its output.
            **more: parameters besides those that the demonstration needs.
        """
        parameters = {
            "model": model,
            "object_size": scene.OBJECT_SIZE_M,
            "gravity": scene.gravity_in_camera().round(9).tolist(),
            "detections_required": True,
            **more,
        }
        super().__init__(
            "kp3d_ros.detector_node",
            log,
            namespace=NAMESPACE,
            parameters=parameters,
            what="detector node",
        )


class SimulatedCamera(Node):  # type: ignore[misc]
    """Publishes images, calibration and detections, and collects the node's answers."""

    def __init__(
        self, film: Film, seed: int, *, with_depth: bool = False, poses: bool = True
    ) -> None:
        """Open the topics.

        Args:
            film: what it sees.
            seed: of the noise of the simulated detector.
            with_depth: whether it measures depth, too.
            poses: collect poses and TF, too, not only keypoints.
        """
        super().__init__("camera", namespace=NAMESPACE)
        self._with_depth = with_depth
        self.recording = Recording()
        self._film = film
        self._rng = np.random.default_rng(seed)
        self.images = self.create_publisher(Image, "image", qos_profile_sensor_data)
        self.infos = self.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
        self.depths = self.create_publisher(Image, "depth", qos_profile_sensor_data)
        self.detections = self.create_publisher(Detection2DArray, "detections", 10)
        width, height = film.size_wh
        K = scene.camera_intrinsics(film.size_wh)
        self._info = CameraInfo(width=width, height=height, k=K.ravel())
        self._info.p = np.hstack([K, np.zeros((3, 1))]).ravel()
        self._info.r = np.eye(3).ravel()
        self._info.distortion_model = "plumb_bob"
        self._info.d = [0.0] * 5
        recording, latched = self.recording, DurabilityPolicy.TRANSIENT_LOCAL

        def listen(
            kind: Any, topic: str, callback: Callable[[Any], None], raw: bool = False, **qos: Any
        ) -> None:
            profile = QoSProfile(**{"depth": 10, **qos})
            self.create_subscription(kind, topic, callback, profile, raw=raw)

        def store(target: dict[int, Any]) -> Callable[[Any], None]:
            return lambda message: target.__setitem__(_nanoseconds(message.header.stamp), message)

        listen(Keypoints3DArray, "detector/keypoints", self._on_keypoints, raw=True)
        if poses:
            listen(PoseWithCovarianceStamped, "detector/pose", store(recording.poses))
            relative = store(recording.relative_poses)
            listen(PoseWithCovarianceStamped, "detector/relative_pose", relative)
            listen(TFMessage, "/tf", self._on_tf)
        listen(KeypointLayout, "detector/layout", self._on_layout, depth=1, durability=latched)
        listen(DiagnosticArray, "/diagnostics", self._on_diagnostics)

    @property
    def calibration(self) -> CameraInfo:
        """That of all images."""
        return self._info

    def is_connected(self) -> bool:
        """Whether the node listens to everything and has introduced itself."""
        publishers = (self.images, self.infos, self.detections)
        listened = all(publisher.get_subscription_count() for publisher in publishers)
        return listened and self.recording.layout is not None

    def is_alone(self) -> bool:
        """Whether no other demonstration is running on these topics."""
        return bool(self.count_publishers(f"{NAMESPACE}/image") == 1)

    def prepare(self, index: int) -> Image:
        """The image's message, but for its time."""
        # An array of bytes is the only type that goes into the message without a look at each byte.
        data = array.array("B", self._film.image(index).tobytes())
        width, height = self._film.size_wh
        image = Image(width=width, height=height, encoding="rgb8", step=3 * width, data=data)
        image.header.frame_id = CAMERA_FRAME
        return image

    def publish(self, index: int, image: Image, with_detection: bool) -> None:
        """Send an image as taken now."""
        now = self.get_clock().now()
        image.header.stamp = now.to_msg()
        self._info.header = image.header
        self.recording.sent[now.nanoseconds] = index
        if with_detection:
            self.detections.publish(self._detection(index, image))
        self.infos.publish(self._info)
        if self._with_depth:
            self.depths.publish(self._depth(index, image))
        self.images.publish(image)

    def _depth(self, index: int, image: Image) -> Image:
        """The depth image that belongs to an image."""
        data = array.array("B", self._film.depth_mm(index).tobytes())
        size = {"width": image.width, "height": image.height, "step": 2 * image.width}
        return Image(header=image.header, encoding="16UC1", data=data, **size)

    def _detection(self, index: int, image: Image) -> Detection2DArray:
        """What a 2D detector would say about an image."""
        x, y, width, height = self._film.boxes[index]
        edges = np.array([x, y, x + width, y + height]) - 0.5
        left, top, right, bottom = edges + self._rng.normal(0, DETECTION_NOISE_PX, 4)
        detection = Detection2D(header=image.header)
        detection.bbox.center.position.x = float(left + right) / 2
        detection.bbox.center.position.y = float(top + bottom) / 2
        detection.bbox.size_x, detection.bbox.size_y = float(right - left), float(bottom - top)
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = "car", 0.9
        detection.results = [result]
        return Detection2DArray(header=image.header, detections=[detection])

    def _on_keypoints(self, data: bytes) -> None:
        now_ns = self.get_clock().now().nanoseconds  # before Python objects are made of it
        message = deserialize_message(data, Keypoints3DArray)
        stamp = _nanoseconds(message.header.stamp)
        self.recording.received[stamp] = now_ns
        self.recording.keypoints[stamp] = message

    def _on_tf(self, message: TFMessage) -> None:
        if message.transforms and message.transforms[0].header.frame_id == CAMERA_FRAME:
            self.recording.transforms[_nanoseconds(message.transforms[0].header.stamp)] = message

    def _on_layout(self, message: KeypointLayout) -> None:
        self.recording.layout = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(NAMESPACE.lstrip("/")):
                self.recording.reports.append({item.key: item.value for item in status.values})


def stream(
    film: Film,
    node: NodeProcess,
    *,
    rate_hz: float,
    seed: int,
    on_progress: Callable[[int], None],
    with_depth: bool = False,
) -> Recording:
    """Play the film in real time and return what the node made of it.

    Raises:
        RuntimeError: the node ended, did not answer, or another demonstration is running.
    """
    rclpy.init()
    camera = SimulatedCamera(film, seed, with_depth=with_depth)
    executor = SingleThreadedExecutor()
    executor.add_node(camera)
    try:
        _connect(camera, executor, node)
        with without_collections():
            _play(camera, executor, film, rate_hz, on_progress)
        node.check_alive()
        return camera.recording
    finally:
        executor.shutdown()
        camera.destroy_node()
        rclpy.try_shutdown()


@contextmanager
def without_collections() -> Iterator[None]:
    """Keep Python's garbage collector away: its pauses would look like latency of the node."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def running_node(model: str, log: Path, **parameters: Any) -> Iterator[NodeProcess]:
    """The node in its own process, and rclpy for whoever talks to it."""
    rclpy.init()
    try:
        with NodeProcess(model, log, **parameters) as node:
            yield node
    finally:
        rclpy.try_shutdown()


def _connect(camera: SimulatedCamera, executor: SingleThreadedExecutor, node: NodeProcess) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not camera.is_connected():
        node.check_alive()
        executor.spin_once(timeout_sec=0.1)
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"The detector node did not answer within {_START_TIMEOUT_S:.0f} s. It printed: "
                f"{node.output() or 'nothing'}"
            )
    if not camera.is_alone():
        raise RuntimeError(
            f"Another demonstration is publishing on {NAMESPACE}. Wait for its end, or set "
            "ROS_DOMAIN_ID to another number."
        )


def _play(
    camera: SimulatedCamera,
    executor: SingleThreadedExecutor,
    film: Film,
    rate_hz: float,
    on_progress: Callable[[int], None],
) -> None:
    start = time.monotonic() + 0.5
    detection_every = max(1, round(rate_hz * DETECTION_PERIOD_S))

    def spin_until(due: float) -> None:
        while (left := due - time.monotonic()) > 0 and rclpy.ok():
            executor.spin_once(timeout_sec=left)

    for index in range(len(film)):
        image = camera.prepare(index)
        spin_until(start + index / rate_hz)
        camera.publish(index, image, with_detection=index % detection_every == 0)
        on_progress(index + 1)
    last_stamp = max(camera.recording.sent)
    deadline = time.monotonic() + _LAST_IMAGE_TIMEOUT_S
    while last_stamp not in camera.recording.received and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.05)
    spin_until(time.monotonic() + 0.1)  # the other messages about the last image


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
