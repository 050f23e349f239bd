"""DDS settings for images between processes of this machine; read when rclpy starts."""

from __future__ import annotations

import os
from pathlib import Path

import kp3d_ros


def configure_transport() -> None:
    """Choose DDS settings that carry images: this machine only, and shared memory large enough."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    profile = profiles_file()
    if profile.is_file():
        os.environ.setdefault(profiles_variable(), str(profile))


def profiles_variable() -> str:
    """The environment variable that tells Fast DDS where its settings are."""
    # Fast DDS renamed it and warns of the old name.
    is_old = os.environ.get("ROS_DISTRO") in ("humble", "iron", "jazzy")
    return "FASTRTPS_DEFAULT_PROFILES_FILE" if is_old else "FASTDDS_DEFAULT_PROFILES_FILE"


def profiles_file() -> Path:
    """The settings of Fast DDS that carry images."""
    return _share_directory() / "config" / "fastdds.xml"


def _share_directory() -> Path:
    """Where config/ lies: beside the package in a source tree, else in the installed share."""
    source = Path(kp3d_ros.__file__).resolve().parents[1]
    if (source / "config").is_dir():
        return source
    from ament_index_python.packages import get_packageshare_directory

    return Path(get_packageshare_directory("kp3d_ros"))
