"""A camera, a 2D detector and a listener around the real node, for the tests of it."""

from __future__ import annotations

import array
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import cv2
import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2D, Detection2DArray
from visualization_msgs.msg import MarkerArray

from kp3d_core.inference import CameraModel
from kp3d_ros.msg import KeypointLayout, Keypoints3DArray

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

    def __init__(self, log: Path, **parameters: Any) -> None:
        """Start it; its output goes to the file `log`."""
        command = [sys.executable, "-m", "kp3d_ros.detector_node", "--ros-args"]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={value}"]
        self.log_path = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    def log(self) -> str:
        """What it has printed."""
        return self.log_path.read_text()

    def wait_for(self, text: str, timeout_s: float = 30) -> None:
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


class Client:
    """A camera, a detector and a listener."""

    def __init__(self, node: Node) -> None:
        """Open the topics and wait until the detector is connected."""
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
        self.markers: list[MarkerArray] = []
        self.layouts: list[KeypointLayout] = []

        def listen(kind: Any, topic: str, callback: Any) -> None:
            node.create_subscription(kind, topic, callback, 10)

        def store(target: dict[tuple[int, int], Any]) -> Callable[[Any], None]:
            return lambda message: target.__setitem__(stamp_key(message), message)

        listen(Keypoints3DArray, "detector/keypoints", store(self.keypoints))
        listen(PoseWithCovarianceStamped, "detector/pose", store(self.poses))
        listen(PoseWithCovarianceStamped, "detector/relative_pose", store(self.relative))
        listen(MarkerArray, "detector/markers", self.markers.append)
        listen(
            TFMessage,
            "/tf",
            lambda message: self.transforms.__setitem__(stamp_key(message.transforms[0]), message),
        )
        self.info = CameraInfo(width=640, height=480, k=CAMERA.K.ravel())
        self.spin(lambda: all(p.get_subscription_count() for p in (self.images, self.infos)))
        self.spin(lambda: node.count_publishers("detector/markers"))

    def spin(self, condition: Callable[[], Any], each: Any = None) -> None:
        """Let messages come in until the condition holds, at most 10 s; `each` at 20 Hz."""
        end, due = monotonic() + 10, 0.0
        while not condition():
            assert monotonic() < end, "not within 10 s"
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
        assert client.wait_for_service(10)
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


def stamp_key(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec
