"""Stamps and frames of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builtin_interfaces.msg import Time
    from std_msgs.msg import Header


def stamp_seconds(stamp: Time) -> float:
    """Time stamp as a number, for differences [s]."""
    return float(stamp.sec) + float(stamp.nanosec) * 1e-9


def stamp_nanoseconds(stamp: Time) -> int:
    """Time stamp as a number, exact [ns]."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def plain_frame(frame_id: str) -> str:
    """Name of a frame as tf2 takes it: ROS 1 put a slash before it."""
    return frame_id.lstrip("/")


def plain_header(header: Header) -> Header:
    """The header with the frame's name as tf2 takes it."""
    if not header.frame_id.startswith("/"):
        return header
    return type(header)(stamp=header.stamp, frame_id=plain_frame(header.frame_id))
