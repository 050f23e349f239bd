"""What the pipeline found, as messages on topics."""

from __future__ import annotations

import array
from collections.abc import Callable, Collection, Iterator
from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from kp3d_core.inference.drawing import draw_overlay
from kp3d_ros import collision, messages
from kp3d_ros.answer import Answer, FoundObject
from kp3d_ros.categories import Category
from kp3d_ros.msg import KeypointLayout, Keypoints3DArray
from kp3d_ros.settings import Settings

KEYPOINTS_TOPIC = "~/keypoints"
TOPICS: dict[str, type] = {
    KEYPOINTS_TOPIC: Keypoints3DArray,
    "~/pose": PoseWithCovarianceStamped,
    "~/relative_pose": PoseWithCovarianceStamped,
    "~/detections_3d": Detection3DArray,
    "~/markers": MarkerArray,
    "~/covariance_markers": MarkerArray,
    "~/overlay": Image,
}
"""Topics on which something is published for each image."""
COLLISION_TOPIC = "~/collision_object"
_collision_type = collision.message_type()
if _collision_type is not None:
    TOPICS[COLLISION_TOPIC] = _collision_type
METRIC_TOPICS = {"~/pose", "~/relative_pose", "~/detections_3d", COLLISION_TOPIC}
"""Their messages are in metres by definition: up to scale they are not published."""
_DRAWN = {
    "~/markers": messages.object_markers,
    "~/covariance_markers": messages.ellipsoid_markers,
}
LAYOUT_TOPIC = "~/layout"
TF_TOPIC = "/tf"
_OF_DETECTIONS = {KEYPOINTS_TOPIC, "~/overlay", *_DRAWN}
"""Topics that say what is in an image, whatever its reference."""


def needs_places(wanted: Collection[str]) -> bool:
    """Whether a listener wants to know more than what an image shows: motions, filtered poses."""
    return not _OF_DETECTIONS.issuperset(wanted)


def layouts(categories: list[Category], stamp: Any) -> list[KeypointLayout]:
    """What is fixed about each category."""
    return [
        messages.layout_message(
            Header(stamp=stamp, frame_id=category.name),
            category.model,
            class_of(category),
            category.detector.unit_m if category.detector.metric else None,
        )
        for category in categories
    ]


def class_of(category: Category) -> str:
    """Class that is published: that of the entry in `models`, else the model's category."""
    return category.class_id or category.model.category


def answer_messages(
    answer: Answer, settings: Settings, wanted: Collection[str], remembered: bool
) -> Iterator[tuple[str, Any]]:
    """Topic and message for everything that is to be published about an image.

    Args:
        answer: what was found, and where it is.
        settings: of the node.
        wanted: topics that somebody listens to.
        remembered: whether any object is in sight or was until a moment ago.
    """
    yield from keypoint_messages(answer, wanted)
    yield from pose_messages(answer, settings, wanted, remembered)


def keypoint_messages(answer: Answer, wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
    """What can be published as soon as the objects are found; arguments of `answer_messages`."""
    header = answer.header
    if KEYPOINTS_TOPIC in wanted:
        instances = [
            messages.instance_message(
                header,
                found.detection,
                found.category.model,
                answer.camera,
                found.instance_id,
                class_of(found.category),
                from_depth=found.from_depth,
            )
            for found in answer.objects
        ]
        yield KEYPOINTS_TOPIC, Keypoints3DArray(header=header, instances=instances)


def pose_messages(
    answer: Answer, settings: Settings, wanted: Collection[str], remembered: bool
) -> Iterator[tuple[str, Any]]:
    """Everything else; arguments of `answer_messages`."""
    header, objects = answer.header, answer.objects
    metric = [found for found in objects if found.detection.metric]
    if "~/detections_3d" in wanted:
        detections = [
            messages.detection_message(
                header,
                found.detection,
                found.instance_id,
                class_of(found.category),
                *_pose(found),
            )
            for found in metric
        ]
        yield "~/detections_3d", Detection3DArray(header=header, detections=detections)
    if COLLISION_TOPIC in wanted:
        yield from ((COLLISION_TOPIC, message) for message in _collision(answer, metric))
    # One topic holds one pose: that of the object that has been followed for longest.
    for found in metric[:1]:
        if "~/pose" in wanted:
            yield "~/pose", messages.pose_message(header, *_pose(found))
        if found.placement and "~/relative_pose" in wanted:
            in_reference = Header(stamp=header.stamp, frame_id=reference_frame(found))
            motion = found.placement.T_reference_object, found.placement.motion_covariance
            yield "~/relative_pose", messages.pose_message(in_reference, *motion)
    if settings.publish_tf and TF_TOPIC in wanted:
        transforms = [item for found in objects for item in _transforms(answer, found)]
        if transforms:
            yield TF_TOPIC, TFMessage(transforms=transforms)
    for topic, draw in _DRAWN.items():
        if topic in wanted:
            markers = _markers(answer, settings, remembered, draw)
            if markers:
                yield topic, MarkerArray(markers=markers)
    if "~/overlay" in wanted:
        yield "~/overlay", _overlay(answer)


def reference_frame(found: FoundObject) -> str:
    """TF frame of an object's reference."""
    return f"{found.frame}_reference"


def _pose(found: FoundObject) -> tuple[Any, Any]:
    if found.placement:
        return found.placement.T_camera_object, found.placement.covariance
    return found.detection.T_camera_object, found.detection.pose_covariance


def _transforms(answer: Answer, found: FoundObject) -> list[TransformStamped]:
    if found.placement is None or not answer.anchor_frame:  # tf2 takes no frame without a name
        return []
    stamp, reference = answer.header.stamp, reference_frame(found)
    anchor = Header(stamp=stamp, frame_id=answer.anchor_frame)
    in_reference = Header(stamp=stamp, frame_id=reference)
    place = found.placement
    return [
        messages.transform_message(anchor, reference, place.T_anchor_reference),
        messages.transform_message(in_reference, found.frame, place.T_reference_object),
    ]


def _markers(
    answer: Answer, settings: Settings, remembered: bool, draw: Callable[..., list[Marker]]
) -> list[Marker]:
    """Markers of what is in sight, and what takes away those of objects that are not."""
    header, lifetime_s = answer.header, settings.marker_lifetime
    markers = []
    for category, instance_id in answer.lost:
        markers += messages.removed_markers(header, category.model, instance_id)
    if not remembered:
        markers = [messages.no_markers(header)]
    for found in answer.objects:
        model = found.category.model
        markers += draw(header, found.detection, model, found.instance_id, lifetime_s)
    return markers


def _collision(answer: Answer, metric: list[FoundObject]) -> Iterator[Any]:
    for _, instance_id in answer.lost:
        yield collision.removal_message(answer.header, instance_id)
    for found in metric:
        pose = messages.pose_with_covariance(*_pose(found)).pose
        yield collision.collision_message(
            answer.header, found.detection, found.category.model, found.instance_id, pose
        )


def _overlay(answer: Answer) -> Image:
    found = [
        (item.instance_id, item.detection, item.category.model.keypoints) for item in answer.objects
    ]
    pixels = draw_overlay(answer.image, answer.camera, found)
    height, width = pixels.shape[:2]
    return Image(
        header=answer.header,
        width=width,
        height=height,
        encoding="rgb8",
        step=3 * width,
        data=array.array("B", pixels.tobytes()),
    )
