"""Objects for MoveIt's planning scene, where moveit_msgs is installed."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from std_msgs.msg import Header

from kp3d_core.geometry.rotation import invert_transform, transform_points
from kp3d_core.inference import Detection, Model


def message_type() -> type | None:
    """`moveit_msgs/CollisionObject`; None where it is not installed."""
    try:
        module = importlib.import_module("moveit_msgs.msg")
    except ImportError:
        return None
    return getattr(module, "CollisionObject", None)


def collision_message(
    header: Header, detection: Detection, model: Model, instance_id: str, pose: Pose
) -> Any:
    """The object as the box that holds its keypoints, which are its named subframes.

    A planner then knows "car_1/front_left_low" as a frame. The axes of a subframe are those of
    the object.

    Args:
        header: stamp of the image, frame of the pose.
        detection: in metres.
        model: names the keypoints.
        instance_id: name of the object.
        pose: of the object.
    """
    primitive_type = importlib.import_module("shape_msgs.msg").SolidPrimitive
    collision_type = importlib.import_module("moveit_msgs.msg").CollisionObject
    T_object_camera = invert_transform(detection.T_camera_object)
    points = transform_points(T_object_camera, detection.keypoints_camera)
    low, high = points.min(axis=0), points.max(axis=0)
    box = primitive_type(type=primitive_type.BOX, dimensions=(high - low).tolist())
    message = collision_type(header=header, pose=pose, id=instance_id)
    message.primitives = [box]
    message.primitive_poses = [_at((low + high) / 2)]
    message.subframe_names = list(model.keypoints.names)
    message.subframe_poses = [_at(point) for point in points]
    message.operation = collision_type.ADD
    return message


def removal_message(header: Header, instance_id: str) -> Any:
    """Takes an object out of the planning scene."""
    collision_type = importlib.import_module("moveit_msgs.msg").CollisionObject
    message = collision_type(header=header, id=instance_id)
    message.operation = collision_type.REMOVE
    return message


def _at(point: np.ndarray) -> Pose:
    x, y, z = point.tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(w=1.0))
