"""A camera, a 2D detector and a listener around the real node, for the tests of it."""

from __future__ import annotations

import array
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import cv2
import numpy as np
import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    Detection3DArray,
    ObjectHypothesisWithPose,
)
from visualization_msgs.msg import MarkerArray

from kp3d_core.inference import CameraModel
from kp3d_ros.msg import KeypointLayout, Keypoints3DArray
from kp3d_ros.settings import Settings

UNIT_M = 0.3
FRAME = "camera_optical_frame"
CAMERA = CameraModel(np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]]), 640, 480)


def pose(yaw: float, translation: tuple[float, float, float]) -> NDArray[np.float64]:
    """Pose of the discs, seen from above; the yaws used here let no disc hide another."""
    tilt = cv2.Rodrigues(np.array([0.4, 0, 0]))[0]
    level = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    T = np.eye(4)
    T[:3, :3] = tilt @ level @ cv2.Rodrigues(np.array([0, 0, yaw]))[0]
    T[:3, 3] = translation
    return T


class NodeProcess:
    """The node, started as a user would."""

    def __init__(self, log: Path, *, arguments: Sequence[str] = (), **parameters: Any) -> None:
        """Start it; its output goes to the file `log`."""
        command = [sys.executable, "-m", "kp3d_ros.detector_node", "--ros-args", *arguments]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={value}"]
        self.log_path = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    def log(self) -> str:
        """What it has printed."""
        return self.log_path.read_text()

    def wait_for(self, text: str, timeout_s: float = 60) -> None:
        """Wait until it has printed a text."""
        end = monotonic() + timeout_s
        while text not in self.log() and self.process.poll() is None and monotonic() < end:
            sleep(0.02)
        assert text in self.log()

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal and wait for the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


class ManagedNode(NodeProcess):
    """The node under a lifecycle manager."""

    def __init__(self, log: Path) -> None:
        """Start it; it waits for `bring_up`."""
        super().__init__(log, autostart="false")
        self._settings: dict[str, Any] = {}

    def bring_up(self, client: Client, **settings: Any) -> None:
        """Configure it anew with these settings and the defaults, and activate it."""
        for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
            change_state(client, transition)  # refused the first time
        for name, value in {**self._settings, **settings}.items():
            result = client.set_parameter(name, value)
            assert result.successful, result.reason
        defaults = Settings()
        self._settings = {name: default_of(defaults, name) for name in settings}
        assert change_state(client, Transition.TRANSITION_CONFIGURE), self.log()
        assert change_state(client, Transition.TRANSITION_ACTIVATE)
        client.forget()
        client.spin(lambda: client.infos.get_subscription_count())


def default_of(settings: Settings, name: str) -> Any:
    value = getattr(settings, name)
    return list(value) if isinstance(value, tuple) else value


def change_state(client: Client, transition: int) -> bool:
    request = ChangeState.Request()
    request.transition.id = transition
    return bool(client.call(ChangeState, "change_state", request).success)


class Client:
    """A camera, a detector and a listener."""

    def __init__(self, node: Node, *, wait: bool = True) -> None:
        """Open the topics and, unless told otherwise, wait until the detector is connected."""
        self.node = node
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self.images = node.create_publisher(Image, "image", qos_profile_sensor_data)
        self.infos = node.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
        self.boxes = node.create_publisher(Detection2DArray, "detections", 10)
        self.keypoints: dict[tuple[int, int], Keypoints3DArray] = {}
        self.poses: dict[tuple[int, int], PoseWithCovarianceStamped] = {}
        self.relative: dict[tuple[int, int], PoseWithCovarianceStamped] = {}
        self.transforms: dict[tuple[int, int], TFMessage] = {}
        self.detections: dict[tuple[int, int], Detection3DArray] = {}
        self.markers: list[MarkerArray] = []
        self.layouts: list[KeypointLayout] = []

        self._listening: list[Any] = []

        def listen(kind: Any, topic: str, callback: Any) -> None:
            self._listening.append(node.create_subscription(kind, topic, callback, 10))

        def store(target: dict[tuple[int, int], Any]) -> Callable[[Any], None]:
            return lambda message: target.__setitem__(stamp_key(message), message)

        listen(Keypoints3DArray, "detector/keypoints", store(self.keypoints))
        listen(PoseWithCovarianceStamped, "detector/pose", store(self.poses))
        listen(PoseWithCovarianceStamped, "detector/relative_pose", store(self.relative))
        listen(Detection3DArray, "detector/detections_3d", store(self.detections))
        listen(MarkerArray, "detector/markers", self.markers.append)
        listen(TFMessage, "/tf", self._on_tf)
        self.info = CameraInfo(width=640, height=480, k=CAMERA.K.ravel())
        if wait:
            self.spin(self.connected)

    def _on_tf(self, message: TFMessage) -> None:
        first = message.transforms[0]
        if first.child_frame_id.endswith("_reference"):  # else it is ours
            self.transforms[stamp_key(first)] = message

    def connected(self) -> bool:
        """Whether the detector listens to the camera and publishes."""
        is_heard = all(p.get_subscription_count() for p in (self.images, self.infos))
        return is_heard and self.node.count_publishers("detector/markers") > 0

    def forget(self) -> None:
        """Forget all messages that came."""
        answers = (self.keypoints, self.poses, self.relative, self.transforms, self.detections)
        for messages in (*answers, self.markers, self.layouts):
            messages.clear()

    def stop_listening(self) -> None:
        """Give up all subscriptions to the detector's results."""
        for subscription in self._listening:
            self.node.destroy_subscription(subscription)
        self._listening.clear()

    def spin(self, condition: Callable[[], Any], each: Any = None) -> None:
        """Let messages come in until the condition holds, at most 40 s; `each` at 20 Hz."""
        end, due = monotonic() + 40, 0.0
        while not condition():
            assert monotonic() < end, "not within 40 s"
            if each and monotonic() >= due:
                each()
                due = monotonic() + 0.05
            self.spin_once(0.02)

    def spin_once(self, timeout_s: float) -> None:
        """Let one message come in."""
        self._executor.spin_once(timeout_sec=timeout_s)

    def send(self, rgb: NDArray[np.uint8], **fields: Any) -> tuple[int, int]:
        """Publish an image taken now, its calibration and a box around the bright part."""
        image = image_message(rgb)
        for name, value in fields.items():
            setattr(image, name, value)
        image.header.stamp = self.node.get_clock().now().to_msg()
        self.info.header = image.header
        self.infos.publish(self.info)
        if rgb.any():
            self.boxes.publish(box_around(rgb, image))
        self.images.publish(image)
        return stamp_key(image)

    def see(self, rgb: NDArray[np.uint8]) -> tuple[int, int]:
        """Send an image until the object has been found in it; its stamp."""
        sent: list[tuple[int, int]] = []

        def answered() -> list[tuple[int, int]]:
            found = [key for key in sent if key in self.keypoints and self.keypoints[key].instances]
            everywhere = (self.poses, self.relative, self.transforms)
            return [key for key in found if all(key in answers for answers in everywhere)]

        self.spin(answered, each=lambda: sent.append(self.send(rgb)))
        return answered()[0]

    def call(self, kind: Any, service: str, request: Any) -> Any:
        """Response of a service of the node."""
        client = self.node.create_client(kind, f"detector/{service}")
        assert client.wait_for_service(40)
        future = client.call_async(request)
        self.spin(future.done)
        return future.result()

    def set_reference(self) -> Trigger.Response:
        """Call the service."""
        return self.call(Trigger, "set_reference", Trigger.Request())

    def set_parameter(self, name: str, value: Any) -> SetParametersResult:
        """Set a parameter as `ros2 param set` does."""
        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return self.call(SetParameters, "set_parameters", request).results[0]


@contextmanager
def open_client(*, wait: bool = True) -> Iterator[Client]:
    """A client in a ROS context of its own, closed at the end; `wait`: see `Client`."""
    context = Context()
    rclpy.init(context=context)
    node = Node("client", context=context)
    yield Client(node, wait=wait)
    node.destroy_node()
    rclpy.shutdown(context=context)


def image_message(rgb: NDArray[np.uint8]) -> Image:
    image = Image(width=640, height=480, encoding="rgb8", step=1920)
    image.data = array.array("B", rgb.tobytes())
    image.header.frame_id = FRAME
    return image


def box_around(rgb: NDArray[np.uint8], image: Image) -> Detection2DArray:
    rows, columns = np.nonzero(rgb.any(axis=2))
    detection = Detection2D()
    detection.bbox.size_x = float(np.ptp(columns) + 1)
    detection.bbox.size_y = float(np.ptp(rows) + 1)
    detection.bbox.center.position.x = float(columns.min() + columns.max()) / 2
    detection.bbox.center.position.y = float(rows.min() + rows.max()) / 2
    return Detection2DArray(header=image.header, detections=[detection])


def boxes_around(images: dict[str, NDArray[np.uint8]], image: Image) -> Detection2DArray:
    """A box around the bright part of each of several images, which together make one."""
    message = Detection2DArray(header=image.header)
    for class_id, rgb in images.items():
        (detection,) = box_around(rgb, image).detections
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = class_id, 0.9
        detection.results = [result]
        message.detections.append(detection)
    return message


def stamp_key(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec
