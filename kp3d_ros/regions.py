"""Where a detector saw objects: vision_msgs/Detection2DArray to regions of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kp3d_core.inference import Places, Region
from kp3d_ros.headers import plain_frame, stamp_seconds
from kp3d_ros.settings import Settings

if TYPE_CHECKING:
    from builtin_interfaces.msg import Time
    from vision_msgs.msg import Detection2D, Detection2DArray

FRESH_S = 0.2
"""A moving object is still near its box after this time [s]."""


_SHOWN = 5
"""So many classes are named in a text."""


def places_for(
    detections: Detection2DArray | None,
    image_stamp: Time,
    class_id: str,
    settings: Settings,
    known_s: float = 0.0,
    classes: Sequence[str] = (),
) -> tuple[Places, list[str]]:
    """Where to look for objects of a class, and what is wrong with the boxes that are left out.

    Args:
        detections: the newest message of the 2D detector.
        image_stamp: when the image was taken.
        class_id: class of the objects; empty: any.
        settings: of the node.
        known_s: for how long the message has been known, where stamps do not tell [s].
        classes: of all objects that are looked for. A 2D detector that shows some of them has seen
            none of the others: those are not searched for in the whole image.
    """
    boxes: list[Region] = []
    problems: list[str] = []
    age, shows_others = math.inf, False
    if detections is not None:
        stamp = detections.header.stamp
        age = max(abs(stamp_seconds(image_stamp) - stamp_seconds(stamp)), known_s)
    if detections is not None and age <= settings.detection_max_age:
        scored = [(score_of(item, class_id), item) for item in detections.detections]
        wanted = [(score, item) for score, item in scored if score > -math.inf]
        shows_others = not wanted and _shows_any(detections, classes)
        for _, item in sorted(wanted, key=lambda pair: -pair[0]):
            try:
                boxes.append(box_region(item))
            except ValueError as error:
                problems.append(f"Detection left out: {error}")
    regions = configured_regions(settings)
    places = Places(
        boxes=boxes,
        boxes_are_fresh=age < FRESH_S,
        regions=regions,
        boxes_only=settings.detections_required or (shows_others and not regions),
    )
    return places, problems


def why_ignored(
    detections: Detection2DArray, image_stamp: Time, classes: Sequence[str], settings: Settings
) -> str:
    """Why a message of the 2D detector is of no use for an image, though it holds detections.

    Args:
        detections: the message.
        image_stamp: when the image was taken.
        classes: those of the objects that are looked for; empty: any.
        settings: of the node.
    """
    items = detections.detections
    if not items:
        return ""
    later_s = stamp_seconds(detections.header.stamp) - stamp_seconds(image_stamp)
    if abs(later_s) > settings.detection_max_age:
        difference = f"{abs(later_s):.3g} s {'later' if later_s > 0 else 'earlier'}"
        if not stamp_seconds(detections.header.stamp):
            difference = "not set"
        return (
            f"Detections are not used: their stamp must be within {settings.detection_max_age:g} s "
            f"of the image's ('detection_max_age'), it is {difference}. Give them the stamp "
            "of the image that they were made of, or raise that parameter."
        )
    wanted = [item for item in items if _is_of(item, classes)]
    ids = {r.hypothesis.class_id for item in items for r in item.results}
    if not wanted and (ids & {*classes} or "" in classes):
        return (
            "Detections are not used: their scores must be numbers, got nan. Check the 2D detector."
        )
    if not wanted:
        shown = sorted(ids)[:_SHOWN]
        texts = [", ".join(f"'{name}'" for name in names) for names in (classes, shown)]
        return (
            f"Detections are not used: none of the {len(items)} has class_id {texts[0]}, they have "
            f"{texts[1] or 'no result at all'}. Set 'detection_class', or CLASS in 'models', to "
            "what the 2D detector says; empty: any class."
        )
    problems = []
    for item in wanted:
        try:
            box_region(item)
        except ValueError as error:
            problems.append(str(error))
    if len(problems) == len(wanted):
        return f"Detections are not used: {problems[0]}"
    return ""


def of_another_camera(detections: Detection2DArray, frame_id: str) -> str:
    """Why boxes are not in the pixels of an image, by the frames of both; empty if they may be.

    Args:
        detections: message of the 2D detector.
        frame_id: of the image.
    """
    frame = plain_frame(detections.header.frame_id)
    if not detections.detections or not (frame and frame_id) or frame == frame_id:
        return ""
    return (
        f"Detections are not used: they must be in the image's frame '{frame_id}', got '{frame}': "
        "boxes in the image of another camera. Remap 'detections', or give them the header of the "
        "image that they were made of."
    )


def configured_regions(settings: Settings) -> list[Region]:
    """The regions that the user gave; none stand for the whole image."""
    values = settings.region
    if not any(values):
        return []
    corners = zip(values[::4], values[1::4], values[2::4], values[3::4], strict=True)
    return [Region(*corner, error=math.inf) for corner in corners]


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


def _shows_any(detections: Detection2DArray, classes: Sequence[str]) -> bool:
    return any(_is_of(item, classes) for item in detections.detections)


def _is_of(detection: Detection2D, classes: Sequence[str]) -> bool:
    return any(score_of(detection, class_id) > -math.inf for class_id in classes)


def box_region(detection: Detection2D) -> Region:
    """Upright rectangle around the box, which may be rotated.

    The size of a box counts pixels from edge to edge, as that of `Region` does.

    Raises:
        ValueError: the box has no area, is not finite or is not in pixels.
    """
    box = detection.bbox
    theta = float(box.center.theta)
    if not math.isfinite(theta):
        raise ValueError(f"the angle of a box must be finite, got {theta}. Check the 2D detector.")
    cosine, sine = abs(math.cos(theta)), abs(math.sin(theta))
    width = box.size_x * cosine + box.size_y * sine
    height = box.size_x * sine + box.size_y * cosine
    center = box.center.position
    is_unit = 0 < width <= 1 and 0 < height <= 1 and max(abs(center.x), abs(center.y)) <= 1
    if is_unit:
        raise ValueError(
            f"boxes must be in pixels, got {width:.3g} x {height:.3g} at ({center.x:.3g}, "
            f"{center.y:.3g}), which looks like fractions of the image. Multiply by the image's "
            "width and height."
        )
    return Region(center.x - width / 2, center.y - height / 2, width, height)
