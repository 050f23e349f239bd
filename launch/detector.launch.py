"""Start the keypoint detector: `ros2 launch kp3d_ros detector.launch.py --show-args`."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from kp3d_ros.launching import parameter_arguments, parameter_values

TOPICS = ("image", "camera_info", "detections", "depth")


def _arguments() -> list[DeclareLaunchArgument]:
    def argument(name: str, default: object, description: str) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(name, default_value=default, description=description)

    parameters = PathJoinSubstitution([FindPackageShare("kp3d_ros"), "config", "detector.yaml"])
    return [
        argument(
            "image",
            "image",
            "Topic of the camera image; of compressed ones without the ending /compressed.",
        ),
        argument("camera_info", "camera_info", "Topic of its calibration (CameraInfo)."),
        argument(
            "detections",
            "detections",
            "Topic of boxes from a 2D detector (vision_msgs/Detection2DArray).",
        ),
        argument("depth", "depth", "Topic of depth images, with use_depth (Image)."),
        argument("namespace", "", "Namespace of the node, for example the name of the camera."),
        argument("name", "detector", "Name of the node."),
        argument("log_level", "info", "debug, info, warn, error or fatal."),
        argument("params_file", parameters, "Parameter file of the node (YAML)."),
        *(argument(name, "", text) for name, text in parameter_arguments().items()),
    ]


def _node(context: LaunchContext) -> list[Node]:
    texts = {
        name: context.perform_substitution(LaunchConfiguration(name))
        for name in parameter_arguments()
    }
    return [
        Node(
            package="kp3d_ros",
            executable="detector_node",
            namespace=LaunchConfiguration("namespace"),
            name=LaunchConfiguration("name"),
            parameters=[LaunchConfiguration("params_file"), parameter_values(texts)],
            remappings=[(topic, LaunchConfiguration(topic)) for topic in TOPICS],
            arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Describe what `ros2 launch` starts."""
    return LaunchDescription([*_arguments(), OpaqueFunction(function=_node)])
