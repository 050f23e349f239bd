"""Where a detector saw objects: vision_msgs/Detection2DArray to regions of the image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kp3d_core.inference import Places, Region
from kp3d_ros.settings import Settings

if TYPE_CHECKING:
    from builtin_interfaces.msg import Time
    from vision_msgs.msg import Detection2D, Detection2DArray

FRESH_S = 0.2
"""A moving object is still near its box after this time [s]."""


def stamp_seconds(stamp: Time) -> float:
    """Time stamp as a number, for differences [s]."""
    return float(stamp.sec) + float(stamp.nanosec) * 1e-9


def stamp_nanoseconds(stamp: Time) -> int:
    """Time stamp as a number, exact [ns]."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def places_for(
    detections: Detection2DArray | None, image_stamp: Time, class_id: str, settings: Settings
) -> tuple[Places, list[str]]:
    """Where to look for objects of a class, and what is wrong with the boxes that are left out.

    Args:
        detections: the newest message of the 2D detector.
        image_stamp: when the image was taken.
        class_id: class of the objects; empty: any.
        settings: of the node.
    """
    boxes: list[Region] = []
    problems: list[str] = []
    age = math.inf
    if detections is not None:
        age = abs(stamp_seconds(image_stamp) - stamp_seconds(detections.header.stamp))
    if detections is not None and age <= settings.detection_max_age:
        scored = [(score_of(item, class_id), item) for item in detections.detections]
        wanted = [(score, item) for score, item in scored if score > -math.inf]
        for _, item in sorted(wanted, key=lambda pair: -pair[0]):
            try:
                boxes.append(box_region(item))
            except ValueError as error:
                problems.append(f"Detection left out: {error}")
    places = Places(
        boxes=boxes,
        boxes_are_fresh=age < FRESH_S,
        regions=configured_regions(settings),
        boxes_only=settings.detections_required,
    )
    return places, problems


def configured_regions(settings: Settings) -> list[Region]:
    """The regions that the user gave; none stand for the whole image."""
    values = settings.region
    if not any(values):
        return []
    return [Region(*values[i : i + 4]) for i in range(0, len(values), 4)]


def score_of(detection: Detection2D, class_id: str) -> float:
    """Largest score for the class, -inf if the detection is of another class."""
    scores = [
        float(result.hypothesis.score)
        for result in detection.results
        if class_id in ("", result.hypothesis.class_id) and not math.isnan(result.hypothesis.score)
    ]
    if not detection.results and not class_id:
        return 0.0
    return max(scores, default=-math.inf)


def box_region(detection: Detection2D) -> Region:
    """Upright rectangle around the box, which may be rotated.

    The size of a box counts pixels from edge to edge, as that of `Region` does.

    Raises:
        ValueError: the box has no area or is not finite.
    """
    box = detection.bbox
    theta = float(box.center.theta)
    if not math.isfinite(theta):
        raise ValueError(f"its angle must be finite, got {theta}. Check the 2D detector.")
    cosine, sine = abs(math.cos(theta)), abs(math.sin(theta))
    width = box.size_x * cosine + box.size_y * sine
    height = box.size_x * sine + box.size_y * cosine
    center = box.center.position
    return Region(center.x - width / 2, center.y - height / 2, width, height)
