"""What the planner sees: the node's answers about an image of a camera, and what stands around."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any

import numpy as np
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

from kp3d_ros.demo.grasp import names
from kp3d_ros.demo.grasp.bullet import BASE_FRAME, FloatArray
from kp3d_ros.demo.grasp.grasps import Estimate
from kp3d_ros.demo.grasp.obstacles import boxes_from, points_of
from kp3d_ros.demo.grasp.sighting import estimate_from
from kp3d_ros.demo.grasp.standing import measured_top, standing, with_proportions
from kp3d_ros.headers import stamp_nanoseconds
from kp3d_ros.msg import Keypoints3DArray
from kp3d_ros.tf_buffer import TfBuffer

_PATIENCE_S = 4.0
"""So long the node may take for an answer with a mug, by the clock of the topics."""
_IMAGES = 3
"""So many images are looked at, of which the most certain one counts."""
_TF_TIMEOUT_S = 0.5
_KEPT = 10


class Eyes:
    """Listens to the nodes of both cameras and wakes them when it looks."""

    def __init__(
        self,
        node: Node,
        group: Any,
        *,
        switch_detectors: bool,
        use_depth: bool,
        boxes_are_whole: bool,
    ) -> None:
        """Open the topics.

        Args:
            node: whose topics they are.
            group: callback group that runs beside the one that waits.
            switch_detectors: activate a node while it is needed, and only then.
            use_depth: see obstacles and the rim's height in the fixed camera's depth images.
            boxes_are_whole: boxes of detections hold the object, not only its keypoints.
        """
        self._node = node
        self._boxes_are_whole = boxes_are_whole
        self._tf = TfBuffer()
        self._detections: dict[str, OrderedDict[int, Any]] = {}
        self._keypoints: dict[str, OrderedDict[int, Any]] = {}
        self._depth: Image | None = None
        self._info: CameraInfo | None = None
        self._switches = {}

        def listen(kind: Any, topic: str, callback: Any, qos: Any = 10) -> None:
            node.create_subscription(kind, topic, callback, qos, callback_group=group)

        listen(TFMessage, "/tf", self._tf.add, QoSProfile(depth=100))
        listen(TFMessage, "/tf_static", self._on_static, names.LATCHED)
        for camera in names.OPTICAL_FRAMES:
            self._detections[camera] = OrderedDict()
            self._keypoints[camera] = OrderedDict()
            detector = names.detector(camera)
            keep = self._keeper(self._detections[camera])
            listen(Detection3DArray, f"{detector}/detections_3d", keep)
            listen(Keypoints3DArray, f"{detector}/keypoints", self._keeper(self._keypoints[camera]))
            if switch_detectors:
                self._switches[camera] = node.create_client(
                    ChangeState, f"{detector}/change_state", callback_group=group
                )
        if use_depth:
            topic = f"{names.NAMESPACE}/{names.CAMERA}"
            listen(Image, f"{topic}/depth", self._on_depth, names.IMAGES)
            listen(CameraInfo, f"{topic}/camera_info", self._on_info, names.IMAGES)

    def look(self, camera: str) -> tuple[Estimate | None, int]:
        """The most certain of a few answers of the node about a camera's images from now on.

        Args:
            camera: one of `names.OPTICAL_FRAMES`.

        Returns:
            What is known of the mug, None if it is not found; stamp of the last image [ns].
        """
        self._detections[camera].clear()
        self._keypoints[camera].clear()
        now_ns = self._newest_ns()
        self._switch(camera, Transition.TRANSITION_ACTIVATE)
        found: dict[int, Estimate] = {}
        until_ns = self._newest_ns() + round(_PATIENCE_S * 1e9)
        while len(found) < _IMAGES and self._newest_ns() < until_ns:
            time.sleep(0.005)
            for stamp, message in list(self._detections[camera].items()):
                if stamp in found or stamp < now_ns or stamp not in self._keypoints[camera]:
                    continue
                estimate = self._estimate(camera, stamp, message)
                if estimate is not None:
                    found[stamp] = estimate
        self._switch(camera, Transition.TRANSITION_DEACTIVATE)
        if not found:
            return None, now_ns
        best = min(found.values(), key=lambda item: float(np.trace(item.covariance[:3, :3])))
        return best, max(found)

    def obstacles(self, mug: Estimate) -> list[tuple[FloatArray, FloatArray]]:
        """What stands around the mug, as boxes: centre and half extent, shape (3,) each [m]."""
        points = self._points()
        return [] if points is None else boxes_from(points, mug)

    def standing(self, mug: Estimate) -> Estimate | None:
        """The mug as it must be to stand on the table; None if it cannot."""
        points = self._points()
        return standing(mug, None if points is None else measured_top(mug, points))

    def _points(self) -> FloatArray | None:
        """What the fixed camera's newest depth image shows, in the frame of the arm's base."""
        if self._depth is None or self._info is None:
            return None
        stamp = stamp_nanoseconds(self._depth.header.stamp)
        frame = self._depth.header.frame_id
        T_base_camera = self._tf.lookup(BASE_FRAME, frame, stamp, _TF_TIMEOUT_S)
        shape = self._depth.height, self._depth.width
        depth_m = np.frombuffer(self._depth.data, np.float32).reshape(shape)
        return points_of(depth_m, np.reshape(self._info.k, (3, 3)), T_base_camera)

    def _estimate(self, camera: str, stamp: int, message: Any) -> Estimate | None:
        detections = [d for d in message.detections if _class_of(d) == names.CLASS]
        if not detections:
            return None
        detection = detections[0]
        instances = self._keypoints[camera][stamp].instances
        keypoints = next((k for k in instances if k.instance_id == detection.id), None)
        frame = message.header.frame_id
        T_base_camera = self._tf.lookup(BASE_FRAME, frame, stamp, _TF_TIMEOUT_S)
        seen = estimate_from(detection, keypoints, T_base_camera)
        if self._boxes_are_whole or keypoints is None:
            return seen
        return with_proportions(seen, keypoints.model_unit_m)

    def _newest_ns(self) -> int:
        """The clock now: what is older shows the past."""
        return int(self._node.get_clock().now().nanoseconds)

    def _switch(self, camera: str, transition: int) -> None:
        client = self._switches.get(camera)
        if client is None:
            return
        request = ChangeState.Request(transition=Transition(id=transition))
        if not client.wait_for_service(10.0):
            raise TimeoutError(f"{names.detector(camera)} is not there")
        future = client.call_async(request)
        deadline = time.monotonic() + 10.0
        while not future.done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{names.detector(camera)} does not change its state")
            time.sleep(0.002)
        if not future.result().success:
            raise TimeoutError(f"{names.detector(camera)} refuses to change its state")

    def _keeper(self, kept: OrderedDict[int, Any]) -> Any:
        def keep(message: Any) -> None:
            kept[stamp_nanoseconds(message.header.stamp)] = message
            while len(kept) > _KEPT:
                kept.popitem(last=False)

        return keep

    def _on_static(self, message: TFMessage) -> None:
        self._tf.add(message, static=True)

    def _on_depth(self, message: Image) -> None:
        self._depth = message

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message


def _class_of(detection: Any) -> str:
    return str(detection.results[0].hypothesis.class_id)
