"""Start the keypoint detector: `ros2 launch kp3d_ros detector.launch.py --show-args`."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

# Launch arguments that set the node's parameter of the same name, with the type of that parameter.
# Left empty, what the parameter file says stays.
PARAMETERS: dict[str, type] = {
    "model": str,
    "object_size": float,
    "max_objects": int,
    "image_transport": str,
    "gravity_frame": str,
    "fixed_frame": str,
    "autostart": bool,
    "use_sim_time": bool,
}

TOPICS = ("image", "camera_info", "detections", "depth")


def _arguments() -> list[DeclareLaunchArgument]:
    def argument(name: str, default: object, description: str) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(name, default_value=default, description=description)

    parameters = PathJoinSubstitution([FindPackageShare("kp3d_ros"), "config", "detector.yaml"])
    keep = "Empty: as in params_file."
    return [
        argument("params_file", parameters, "Parameter file of the node (YAML)."),
        argument("model", "", f"Name of a shipped model or path of a model file (.onnx). {keep}"),
        argument(
            "object_size",
            "",
            "Longest dimension of the object [m]; 0: not known, results are then up to scale. "
            f"{keep}",
        ),
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
        argument("depth", "depth", "Topic of depth images, with the parameter use_depth (Image)."),
        argument("max_objects", "", f"Most objects that are followed at once. {keep}"),
        argument("image_transport", "", f"raw or compressed. {keep}"),
        argument("gravity_frame", "", f"TF frame whose z axis points up. {keep}"),
        argument("fixed_frame", "", f"TF frame that anchors references. {keep}"),
        argument(
            "autostart",
            "",
            "true: the node configures and activates itself; false: it waits for a lifecycle "
            f"manager. {keep}",
        ),
        argument("namespace", "", "Namespace of the node, for example the name of the camera."),
        argument("name", "detector", "Name of the node."),
        argument("use_sim_time", "", f"Take the time from /clock: true or false. {keep}"),
        argument("log_level", "info", "debug, info, warn, error or fatal."),
    ]


def _node(context: LaunchContext) -> list[Node]:
    overrides = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in PARAMETERS.items()
        if context.perform_substitution(LaunchConfiguration(name))
    }
    return [
        Node(
            package="kp3d_ros",
            executable="detector_node",
            namespace=LaunchConfiguration("namespace"),
            name=LaunchConfiguration("name"),
            parameters=[LaunchConfiguration("params_file"), overrides],
            remappings=[(topic, LaunchConfiguration(topic)) for topic in TOPICS],
            arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Describe what `ros2 launch` starts."""
    return LaunchDescription([*_arguments(), OpaqueFunction(function=_node)])
