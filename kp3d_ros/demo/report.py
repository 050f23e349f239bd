"""The demonstration's summary: a JSON file and a table on one screen."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import rclpy
from rich.console import Console
from rich.table import Table

from kp3d_ros.demo.stream import Recording


def versions(recording: Recording) -> dict[str, str]:
    """Versions of everything that has a part in the numbers."""
    layout = recording.layout
    return {
        "kp3d": _version("kp3d"),
        "model": f"{layout.model_name} {layout.model_version}" if layout else "",
        "python": platform.python_version(),
        "ros_distro": os.environ.get("ROS_DISTRO", "from PyPI"),
        "rclpy": _version("rclpy", "ros-rclpy"),
        "rmw": rclpy.get_rmw_implementation_identifier(),
        "numpy": _version("numpy"),
        "opencv": _version("opencv-python-headless", "opencv-python"),
        "onnxruntime": _version("onnxruntime", "onnxruntime-gpu"),
    }


def print_table(summary: dict[str, Any], kind: str, console: Console) -> None:
    """What a user wants to know first."""
    latency, relative = summary["latency_ms"], summary["relative_rotation_deg"]
    absolute = summary["absolute_rotation_deg"]
    title = f"kp3d demo: the node's answers about an unseen {kind} against the truth"
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    table.add_column("measured", justify="right")
    table.add_column("note", style="dim")
    processed = f"{summary['frames_processed']} of {summary['frames_in']}"
    stream = f"{summary['image']} at {summary['rate_in_hz']:g} Hz"
    table.add_row("images processed", processed, stream)
    table.add_row("images with a pose", str(summary["frames_with_pose"]), "")
    table.add_row("rate", f"{_number(summary['rate_hz'])} Hz", "of keypoints received")
    p99 = f"median; p99 {_number(latency['p99'])} ms"
    table.add_row("latency to keypoints", f"{_number(latency['p50'])} ms", p99)
    for name, errors in (("relative", relative), ("absolute", absolute)):
        p90 = f"median; p90 {_number(errors['p90'])} deg"
        table.add_row(f"{name} rotation error", f"{_number(errors['median'])} deg", p90)
    translation = summary["translation_error_percent"]["median"]
    table.add_row("translation error", f"{_number(translation)} %", "median, of the distance")
    used = summary["versions"]
    table.add_row("engine", summary["engine"], f"model {used['model']}")
    table.add_row("ROS 2", used["rmw"], f"rclpy {used['rclpy']}, Python {used['python']}")
    console.print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _version(*names: str) -> str:
    """Version of the first of these packages that is installed."""
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"
