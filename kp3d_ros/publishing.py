"""The node's results on their topics and on TF."""

from __future__ import annotations

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster
from visualization_msgs.msg import MarkerArray

from kp3d_core.inference import CameraModel, Detection, Detector, RelativeMotion, RelativePose
from kp3d_ros import messages
from kp3d_ros.msg import KeypointLayout, Keypoints3DArray
from kp3d_ros.parameters import Settings

_LATCHED_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class ResultPublisher:
    """Publishes detections with the stamp and frame of their image, and keeps the reference."""

    def __init__(self, node: Node, detector: Detector, object_name: str) -> None:
        """Open the topics and publish the keypoint layout.

        Args:
            node: owner of the topics.
            detector: where the detections come from.
            object_name: name of the object's TF frame if the scale is known.
        """
        self._model = detector.model
        self.object_frame = object_name if detector.metric else f"{object_name}_up_to_scale"
        self._reference: RelativePose | None = None
        self._reference_wanted = True
        self._keypoints = node.create_publisher(Keypoints3DArray, "~/keypoints", 10)
        self._markers = node.create_publisher(MarkerArray, "~/markers", 10)
        self._pose = node.create_publisher(PoseWithCovarianceStamped, "~/pose", 10)
        self._relative = node.create_publisher(PoseWithCovarianceStamped, "~/relative_pose", 10)
        self._layout = node.create_publisher(KeypointLayout, "~/layout", _LATCHED_QOS)
        self._tf = TransformBroadcaster(node)
        header = Header(stamp=node.get_clock().now().to_msg(), frame_id=self.object_frame)
        unit_m = detector.unit_m if detector.metric else None
        self._layout.publish(messages.layout_message(header, self._model, unit_m))

    def want_reference(self) -> None:
        """Make the next detection the reference of the relative pose."""
        self._reference_wanted = True

    def publish(
        self,
        header: Header,
        detection: Detection,
        camera: CameraModel,
        track: int,
        settings: Settings,
    ) -> None:
        """Publish an accepted detection.

        Args:
            header: of the image.
            detection: what was found in it.
            camera: of the image.
            track: number of the track, the same as long as the object is not lost.
            settings: what to publish and how.
        """
        instance_id = f"{self.object_frame}_{track}"
        self._keypoints.publish(
            messages.keypoints_message(header, detection, self._model, camera, instance_id)
        )
        if self._reference is None or self._reference_wanted:
            self._reference, self._reference_wanted = (
                RelativePose(detection, self._model.calibration),
                False,
            )
        self._publish_poses(header, detection, self._reference, settings)
        lifetime_s = settings.marker_lifetime
        self._markers.publish(
            messages.markers_message(header, detection, self._model, self.object_frame, lifetime_s)
        )

    def publish_nothing(self, header: Header, *, lost: bool) -> None:
        """Publish that an image was processed and the object was not found in it.

        Args:
            header: of the image.
            lost: the object is not just doubted for an image or two: take the markers away, too.
        """
        self._keypoints.publish(Keypoints3DArray(header=header))
        if lost:
            self._markers.publish(messages.no_markers_message(header))

    def _publish_poses(
        self, header: Header, detection: Detection, reference: RelativePose, settings: Settings
    ) -> None:
        motion: RelativeMotion = reference.update(detection)
        reference_frame = f"{self.object_frame}_reference"
        in_reference = Header(stamp=header.stamp, frame_id=reference_frame)
        if detection.metric:
            self._pose.publish(
                messages.pose_message(header, detection.T_camera_object, detection.pose_covariance)
            )
            self._relative.publish(
                messages.pose_message(in_reference, motion.T_reference_object, motion.covariance)
            )
        if settings.publish_tf:
            T_camera_reference = reference.T_camera_reference
            T_reference_object = motion.T_reference_object
            self._tf.sendTransform(
                [
                    messages.transform_message(header, reference_frame, T_camera_reference),
                    messages.transform_message(in_reference, self.object_frame, T_reference_object),
                ]
            )
