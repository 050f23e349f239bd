"""ROS 2 node: camera images to 3D keypoints, pose and TF of one object. It only translates.

Run it with `ros2 launch kp3d_ros detector.launch.py`, or where there is no launch with
`python -m kp3d_ros.detector_node --ros-args -p model:=car -p object_size:=4.5`.
"""

from __future__ import annotations

import dataclasses
import gc
import signal
import sys
import time
import traceback
from threading import Thread

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import ExternalShutdownException
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray

from kp3d_core.inference import (
    CameraModel,
    Detector,
    DetectorSettings,
    create_engine,
    load_model,
)
from kp3d_ros.camera_info_conversion import camera_from_info
from kp3d_ros.diagnostics import Statistics, Throttle
from kp3d_ros.following import Follower
from kp3d_ros.image_conversion import image_to_rgb
from kp3d_ros.mailbox import Mailbox
from kp3d_ros.parameters import Settings, declare
from kp3d_ros.publishing import ResultPublisher
from kp3d_ros.regions import stamp_seconds

NODE_NAME = "detector"
SENSOR_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Sensor data, newest message only."""


class DetectorNode(Node):  # type: ignore[misc]
    """Callbacks only store messages; one worker thread takes the newest image and publishes."""

    def __init__(self) -> None:
        """Read the parameters, load the model, open the topics, start the worker.

        Raises:
            ValueError: a parameter or the model file is wrong.
        """
        super().__init__(NODE_NAME)
        self._images: Mailbox[Image] = Mailbox()
        self._worker = Thread(target=self._work, name="inference")
        self.failed = False
        self.settings = declare(self)
        self._detector = _create_detector(self.settings)
        self._model = self._detector.model
        self._follower = Follower(self._detector)
        self._statistics = Statistics()
        self._throttle = Throttle()
        self._info: CameraInfo | None = None
        self._detections: Detection2DArray | None = None
        self._warm_up()
        self._open_topics()
        self.add_on_set_parameters_callback(self._on_parameters)
        self._log_start()
        self._worker.start()

    def _warm_up(self) -> None:
        """Look at a black image, so that the first real one does not wait for lazy imports."""
        K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
        self._detector.detect(np.zeros((480, 640, 3), np.uint8), CameraModel(K, 640, 480))

    def _open_topics(self) -> None:
        name = self.settings.object_name or self._model.category
        self._results = ResultPublisher(self, self._detector, name)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)

        def subscribe(kind: type, topic: str, callback: object) -> None:
            overridable = QoSOverridingOptions.with_default_policies()
            self.create_subscription(
                kind, topic, callback, SENSOR_QOS, qos_overriding_options=overridable
            )

        subscribe(Image, "image", self._on_image)
        subscribe(CameraInfo, "camera_info", self._on_camera_info)
        subscribe(Detection2DArray, "detections", self._on_detections)
        self.create_service(Trigger, "~/set_reference", self._on_set_reference)
        self.create_timer(1.0, self._report)

    def _log_start(self) -> None:
        engine = self._detector.engine
        logger = self.get_logger()
        logger.info(
            f"Model {self._model.name} {self._model.version} ({self._model.category}, "
            f"{len(self._model.keypoints.names)} keypoints) on {engine.name}, {engine.device}. "
            f"Waiting for images on {self.resolve_topic_name('image')}."
        )
        if not self._detector.metric:
            logger.warning(
                "Parameter 'object_size' is 0: positions are known up to scale only. Keypoints and "
                f"TF frames ('{self._results.object_frame}') say so; ~/pose and ~/relative_pose, "
                "which are in metres by definition, are not published."
            )

    # Callbacks, in the executor's thread.

    def _on_image(self, message: Image) -> None:
        self._statistics.count_received()
        self._images.put(message)

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._info = message

    def _on_detections(self, message: Detection2DArray) -> None:
        self._detections = message

    def _on_set_reference(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        self._results.want_reference()
        response.success = True
        response.message = "The next image in which the object is found becomes the reference."
        return response

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        values = {parameter.name: parameter.value for parameter in parameters}
        try:
            settings = self.settings.replace(values)
            self._detector.settings = _detector_settings(settings)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.settings = settings
        return SetParametersResult(successful=True)

    def _report(self) -> None:
        facts = {
            "model": f"{self._model.name} {self._model.version}",
            "engine": self._detector.engine.name,
            "device": self._detector.engine.device,
        }
        name = f"{self.get_fully_qualified_name().lstrip('/')}: images"
        header = Header(stamp=self.get_clock().now().to_msg())
        dropped = self._images.dropped
        self._diagnostics.publish(
            self._statistics.report(header, name, self._model.name, facts, dropped)
        )

    # The worker thread.

    def _work(self) -> None:
        while (message := self._images.take()) is not None:
            start = time.perf_counter()
            try:
                found = self._process(message)
            except ValueError as error:
                self._problem(str(error))
            except Exception:
                if self.context.ok():  # else publishing failed because the node is being stopped
                    self.failed = True
                    self.get_logger().fatal(f"Stopping, by a bug:\n{traceback.format_exc()}")
                    self.context.try_shutdown()
                return
            else:
                if found is not None:
                    self._statistics.count_processed(time.perf_counter() - start, found)

    def _process(self, message: Image) -> bool | None:
        """Publish what is in an image: whether the object is, None if the image was not used."""
        settings, header = self.settings, message.header
        age_s = self.get_clock().now().nanoseconds * 1e-9 - stamp_seconds(header.stamp)
        if settings.max_age and age_s > settings.max_age:
            self._problem(
                f"Image dropped: parameter 'max_age' is {settings.max_age:g} s, the image is "
                f"{age_s:.2f} s old. For recorded images set 'use_sim_time' or 'max_age' to 0.",
                kind="age",
            )
            return None
        if self._info is None:
            self._problem(
                f"No CameraInfo on {self.resolve_topic_name('camera_info')} yet: no keypoints "
                "without the calibration. Remap the topic, or start its publisher."
            )
            return None
        camera = camera_from_info(
            self._info, message.width, message.height, rectified=settings.rectified
        )
        image = image_to_rgb(message)
        detection = self._follower.update(image, camera, header.stamp, self._detections, settings)
        if detection is not None and detection.accepted:
            self._results.publish(header, detection, camera, self._follower.track, settings)
            return True
        if detection is not None and self._throttle.allows("no object"):
            self.get_logger().info(f"No object: {'; '.join(detection.problems)}.")
        self._results.publish_nothing(header, lost=not self._follower.tracking)
        return False

    def _problem(self, text: str, kind: str = "") -> None:
        """Log a problem, but the same kind (by default: the same text) only now and then."""
        self._statistics.note_problem(text)
        if self._throttle.allows(kind or text):
            self.get_logger().error(text)

    def destroy_node(self) -> None:
        """Stop the worker, then close the topics it publishes on."""
        self._images.close()
        if self._worker.is_alive():
            self._worker.join()
        super().destroy_node()


def _create_detector(settings: Settings) -> Detector:
    model = load_model(settings.model)
    return Detector(
        model,
        create_engine(
            model,
            settings.engine,
            precision=settings.precision or None,
            threads=settings.threads or None,
        ),
        object_size_m=settings.object_size or None,
        settings=_detector_settings(settings),
    )


def _detector_settings(settings: Settings) -> DetectorSettings:
    return dataclasses.replace(DetectorSettings(), min_score=settings.min_score)


def main(args: list[str] | None = None) -> int:
    """Run the node until it is stopped; the result is the exit status."""
    try:
        return _run(args)
    except KeyboardInterrupt:
        return 0  # a second Ctrl-C while it was stopping


def _run(args: list[str] | None) -> int:
    try:
        rclpy.init(args=args)
    except RuntimeError as error:
        get_logger(NODE_NAME).fatal(f"Cannot start: {error}")
        return 1
    try:
        node = DetectorNode()
    except ValueError as error:
        get_logger(NODE_NAME).fatal(f"Cannot start: {error}")
        rclpy.try_shutdown()
        return 1
    except RuntimeError:
        if rclpy.ok():
            raise
        return 0  # stopped while starting
    # What stays for good need not be searched for garbage while images come in.
    gc.collect()
    gc.freeze()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        # `ros2 launch` passes Ctrl-C on to a process that has got it from the terminal already: a
        # second one must not interrupt the cleaning up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        node.destroy_node()
        rclpy.try_shutdown()
    return 1 if node.failed else 0


if __name__ == "__main__":
    sys.exit(main())
