"""DDS settings for images between processes of this machine; read when rclpy starts."""

from __future__ import annotations

import os
from pathlib import Path

import kp3d_ros


def configure_transport() -> None:
    """Choose DDS settings that carry images: this machine only, and shared memory large enough."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    profile = profiles_file()
    if profile is not None:
        os.environ.setdefault(profiles_variable(), str(profile))


def profiles_variable() -> str:
    """The environment variable that tells Fast DDS where its settings are."""
    # Fast DDS renamed it and warns of the old name.
    is_old = os.environ.get("ROS_DISTRO") in ("humble", "iron", "jazzy")
    return "FASTRTPS_DEFAULT_PROFILES_FILE" if is_old else "FASTDDS_DEFAULT_PROFILES_FILE"


def profiles_file() -> Path | None:
    """The settings of Fast DDS that carry images; None where they are not installed.

    Beside the package in a source tree, else in the share of a ROS 2 installation; pip has none.
    """
    folders = [Path(kp3d_ros.__file__).resolve().parents[1]]
    try:
        from ament_index_python.packages import get_package_share_directory

        folders.append(Path(get_package_share_directory("kp3d_ros")))
    except (ImportError, LookupError, OSError):  # no ROS, or not one that has this package
        pass
    files = [folder / "config" / "fastdds.xml" for folder in folders]
    return next((file for file in files if file.is_file()), None)
