"""`--true-pose`: the simulator's truth in the node's messages, for the planner's upper bound."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Pose, Vector3
from rclpy.node import Node
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from kp3d_core.geometry.rotation import invert_transform, transform_points
from kp3d_ros.demo.grasp import names
from kp3d_ros.demo.grasp.world import World
from kp3d_ros.messages import pose_with_covariance
from kp3d_ros.msg import Keypoint3D, Keypoints3D, Keypoints3DArray

_COVARIANCE = np.diag([1e-8] * 3 + [1e-6] * 3)
"""Of the simulator's own arithmetic, generously."""
_NAMES = {
    "rim_front": "front_centre_high",
    "rim_back": "rear_centre_high",
    "rim_left": "middle_left_high",
    "rim_right": "middle_right_high",
    "handle_outer": "front_centre_mid",
}
"""The generator's landmarks by the words in which a model's keypoints are named."""


class Truth:
    """Publishes on the topics of the nodes what they would say if they knew."""

    def __init__(self, node: Node) -> None:
        """Open the topics of both nodes."""
        self._publishers = {
            camera: (
                node.create_publisher(
                    Detection3DArray, f"{names.detector(camera)}/detections_3d", 10
                ),
                node.create_publisher(Keypoints3DArray, f"{names.detector(camera)}/keypoints", 10),
            )
            for camera in names.OPTICAL_FRAMES
        }

    def publish(self, camera: str, header: Header, world: World) -> None:
        """Say where the mug is now, in the frame of a camera."""
        T_world_camera = world.camera_pose(camera == names.HAND_CAMERA)
        T = invert_transform(T_world_camera) @ world.mug_pose()
        mug = world.scene.mug
        pose = pose_with_covariance(T, _COVARIANCE)
        low, high = mug.mesh.bounds.astype(np.float64)
        center = (T @ [*((low + high) / 2), 1.0])[:3].tolist()
        size = (high - low).tolist()
        box = BoundingBox3D(
            center=Pose(
                position=Point(x=center[0], y=center[1], z=center[2]),
                orientation=pose.pose.orientation,
            ),
            size=Vector3(x=size[0], y=size[1], z=size[2]),
        )
        hypothesis = ObjectHypothesis(class_id=names.CLASS, score=1.0)
        detection = Detection3D(
            header=header,
            results=[ObjectHypothesisWithPose(hypothesis=hypothesis, pose=pose)],
            bbox=box,
            id=f"{names.CLASS}_1",
        )
        keypoints = Keypoints3D(
            header=header, instance_id=f"{names.CLASS}_1", class_id=names.CLASS, metric=True
        )
        for name, landmark in mug.landmarks.items():
            if name in _NAMES:
                x, y, z = transform_points(T, landmark[None])[0].tolist()
                keypoints.keypoints.append(
                    Keypoint3D(name=_NAMES[name], position=Point(x=x, y=y, z=z))
                )
        detections, points = self._publishers[camera]
        points.publish(Keypoints3DArray(header=header, instances=[keypoints]))
        detections.publish(Detection3DArray(header=header, detections=[detection]))
