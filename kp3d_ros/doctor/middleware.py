"""What ROS 2 there is, and the settings of its middleware."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

from kp3d_ros.demo.transport import profiles_file, profiles_variable
from kp3d_ros.doctor.finding import Finding, note, ok, problem
from kp3d_ros.doctor.leftovers import leftovers

_NEEDED = (
    "kp3d_ros.msg",
    "sensor_msgs.msg",
    "vision_msgs.msg",
    "diagnostic_msgs.msg",
    "tf2_msgs.msg",
)
_OPTIONAL = {
    "cv_bridge": "images are converted by kp3d itself",
    "moveit_msgs.msg": "no ~/collision_object",
}
_DISCOVERY = (
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
    "ROS_LOCALHOST_ONLY",
    "ROS_STATIC_PEERS",
    "ROS_DISCOVERY_SERVER",
    "CYCLONEDDS_URI",
)
_SHARED_MEMORY = Path("/dev/shm")
_LEAST_SHARED_BYTES = 128 * 2**20
"""Camera and node take 32 MB each with our settings, and others want some, too."""


def ros() -> Iterator[Finding]:
    """Whether rclpy and the messages are there."""
    distro = os.environ.get("ROS_DISTRO", "")
    try:
        rclpy = importlib.import_module("rclpy")
    except ImportError as error:
        advice = (
            f"ROS 2 {distro} is sourced: run kp3d with the Python that it was built for."
            if distro
            else "Source /opt/ros/DISTRO/setup.bash, or use the .venv of `make demo`."
        )
        yield note("rclpy", f"cannot be imported ({error}): no node, but all else works", advice)
        return
    yield ok("rclpy", f"{distro or 'distro not told'}, {Path(str(rclpy.__file__)).parent}")
    for name in _NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            package = name.partition(".")[0].replace("_", "-")
            advice = (
                "Build this package: colcon build, or `make demo`."
                if name.startswith("kp3d")
                else f"apt install ros-{distro or 'DISTRO'}-{package}"
            )
            yield problem(name, f"cannot be imported: {error}", advice)
        else:
            yield ok(name, "there")
    for name, consequence in _OPTIONAL.items():
        try:
            importlib.import_module(name)
        except ImportError:
            yield ok(name, f"not there: {consequence}")
        else:
            yield ok(name, "there")


def middleware() -> Iterator[Finding]:
    """Which middleware, who it talks to, and whether images fit through it."""
    from rclpy.utilities import get_rmw_implementation_identifier

    name = str(get_rmw_implementation_identifier())
    yield ok("RMW_IMPLEMENTATION", f"{name}; must be the same for camera, node and tools")
    domain = os.environ.get("ROS_DOMAIN_ID", "0 (not set)")
    yield ok("ROS_DOMAIN_ID", f"{domain}; nothing of other domains can be seen")
    for variable in _DISCOVERY:
        if value := os.environ.get(variable):
            yield ok(variable, f"{value}; must let camera and node see each other")
    if "fastrtps" in name:
        yield _profiles()
    yield from _shared_memory()


def _profiles() -> Finding:
    """The settings without which Fast DDS loses images between processes."""
    variable = profiles_variable()
    ours = profiles_file() or "config/fastdds.xml of kp3d's repository"
    value = os.environ.get(variable, "")
    if not value:
        return note(
            variable,
            "not set: Fast DDS's shared memory is smaller than a 640x480 image, and best-effort "
            "images get lost between processes",
            f"For camera and node: export {variable}={ours}",
        )
    if not Path(value).is_file():
        return problem(variable, f"{value} is no file", f"export {variable}={ours}")
    return ok(variable, value)


def _shared_memory() -> Iterator[Finding]:
    if not _SHARED_MEMORY.is_dir():
        return
    usage = os.statvfs(_SHARED_MEMORY)
    free = usage.f_bavail * usage.f_frsize
    text = f"{free / 2**20:.0f} MB free"
    yield from leftovers(_SHARED_MEMORY)
    if free >= _LEAST_SHARED_BYTES:
        yield ok(str(_SHARED_MEMORY), text)
        return
    yield problem(
        str(_SHARED_MEMORY),
        f"{text}: too small for images of several processes",
        "In Docker: --shm-size 1g or --ipc host.",
    )
