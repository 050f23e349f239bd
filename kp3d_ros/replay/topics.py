"""Which topics of a bag the pipeline reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
DETECTIONS = "vision_msgs/msg/Detection2DArray"


@dataclass(frozen=True)
class Topics:
    """Names of topics; empty: there is none."""

    image: str
    camera_info: str
    detections: str = ""
    depth: str = ""


def choose_topics(types: Mapping[str, str], wanted: Topics) -> Topics:
    """The topics that were asked for, and for the others the only ones that fit.

    Args:
        types: type of each topic in the bag.
        wanted: names that the user gave; empty: to be found.

    Raises:
        ValueError: a topic is missing, or several could be meant.
    """
    image = wanted.image or _only(types, (IMAGE, COMPRESSED), "image", exclude=wanted.depth)
    # image_transport: /a/image/compressed is /a/image, whose calibration is /a/camera_info.
    beside = image.removesuffix("/compressed").rsplit("/", 1)[0] + "/camera_info"
    camera_info = wanted.camera_info
    if not camera_info and types.get(beside) == CAMERA_INFO:
        camera_info = beside
    camera_info = camera_info or _only(types, (CAMERA_INFO,), "camera-info")
    detections = wanted.detections
    if not detections and DETECTIONS in types.values():
        detections = _only(types, (DETECTIONS,), "detections")
    chosen: tuple[tuple[str, tuple[str, ...]], ...] = (
        (image, (IMAGE, COMPRESSED)),
        (camera_info, (CAMERA_INFO,)),
        (detections, (DETECTIONS,)),
        (wanted.depth, (IMAGE,)),
    )
    for name, fitting in chosen:
        if name and name not in types:
            raise ValueError(f"Topic {name} must be in the bag, it holds {_listed(types)}.")
        if name and types[name] not in fitting:
            raise ValueError(
                f"Topic {name} must be of type {' or '.join(fitting)}, got {types[name]}. The bag "
                f"holds {_listed(types)}."
            )
    return Topics(image, camera_info, detections, wanted.depth)


def _only(types: Mapping[str, str], kinds: tuple[str, ...], option: str, exclude: str = "") -> str:
    found = [topic for topic, kind in types.items() if kind in kinds and topic != exclude]
    must = f"The bag must hold one topic of type {' or '.join(kinds)}"
    if not found:
        raise ValueError(f"{must}, and there is none. It holds {_listed(types)}.")
    if len(found) > 1:
        raise ValueError(f"{must}, it holds {', '.join(sorted(found))}. Name one with --{option}.")
    return found[0]


def _listed(types: Mapping[str, str]) -> str:
    return ", ".join(f"{topic} ({kind})" for topic, kind in sorted(types.items())) or "no topics"


def full_node_name(name: str) -> str:
    """The name with its namespace, from a slash on.

    Raises:
        ValueError: ROS has no such names; a bag with topics below it could not be played.
    """
    parts = name.removeprefix("/").split("/")
    is_name = all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", part) for part in parts)
    if not is_name or "__" in name:
        raise ValueError(
            "node must be a ROS name: letters, digits and single underscores, no digit first, with "
            f"slashes between namespaces and name, got {name!r}. For example /camera/detector."
        )
    return "/" + "/".join(parts)
