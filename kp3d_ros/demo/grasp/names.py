"""Topics and frames of the grasping demonstration: all that simulator and planner share."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

NAMESPACE = "/kp3d_grasp"
CAMERA, HAND_CAMERA = "camera", "hand_camera"
"""Each is a namespace with image, depth, camera_info, detections and a node `detector`."""
OPTICAL_FRAMES = {CAMERA: "camera_optical_frame", HAND_CAMERA: "hand_camera_optical_frame"}
JOINT_STATES = f"{NAMESPACE}/joint_states"
ARM_TRAJECTORY = f"{NAMESPACE}/arm_controller/joint_trajectory"
GRIPPER_TRAJECTORY = f"{NAMESPACE}/gripper_controller/joint_trajectory"
"""Those of ros2_control's joint_trajectory_controller."""
PICK = f"{NAMESPACE}/planner/pick"
CLASS = "mug"
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
IMAGES = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)


def detector(camera: str) -> str:
    """Full name of the node that looks at the images of a camera."""
    return f"{NAMESPACE}/{camera}/detector"
