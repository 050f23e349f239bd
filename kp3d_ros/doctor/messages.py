"""Whether a message of a camera or a 2D detector is one that the node can use."""

from __future__ import annotations

from typing import Any

from kp3d_ros.camera_info_conversion import camera_from_info, image_size
from kp3d_ros.compressed_conversion import compressed_to_rgb
from kp3d_ros.headers import stamp_seconds
from kp3d_ros.image_conversion import image_to_rgb
from kp3d_ros.regions import why_ignored
from kp3d_ros.settings import Settings

_OLD_S = 2.0


def check(message: Any, now_s: float) -> tuple[str, str]:
    """What a message holds, and what is wrong with it (empty if nothing is).

    Args:
        message: Image, CompressedImage, CameraInfo or Detection2DArray.
        now_s: time of this machine [s].
    """
    try:
        facts = _facts(message)
    except ValueError as error:
        return _stamp(message, now_s), str(error)
    return f"{facts}, {_stamp(message, now_s)}", ""


def _facts(message: Any) -> str:
    if hasattr(message, "detections"):
        why = why_ignored(message, message.header.stamp, [""], Settings())
        if why:
            raise ValueError(why)
        classes = sorted({r.hypothesis.class_id for d in message.detections for r in d.results})
        count = len(message.detections)
        return (
            f"{count} box{'' if count == 1 else 'es'} of classes {', '.join(classes) or '(none)'}"
        )
    if hasattr(message, "distortion_model"):
        width, height = image_size(message)
        camera_from_info(message, width, height, rectified=False)
        return f"{width} x {height}, {message.distortion_model or 'no distortion'}"
    if hasattr(message, "format"):
        height, width = compressed_to_rgb(message).shape[:2]
        return f"{width} x {height}, {message.format}"
    if not message.encoding.startswith(("16UC1", "32FC1")):  # those are depth images
        image_to_rgb(message)
    return f"{message.width} x {message.height}, {message.encoding}"


def _stamp(message: Any, now_s: float) -> str:
    """Frame, and how far the stamp is from now."""
    frame = f"frame '{message.header.frame_id}'"
    age_s = now_s - stamp_seconds(message.header.stamp)
    if not stamp_seconds(message.header.stamp):
        return f"{frame}, no stamp"
    if abs(age_s) > _OLD_S:
        side = "old" if age_s > 0 else "in the future"
        return f"{frame}, {abs(age_s):.3g} s {side} (another clock, or a recording: use_sim_time)"
    return f"{frame}, stamped now"
