"""Detections to regions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from kp3d_core.inference import Region
from kp3d_ros.parameters import Settings
from kp3d_ros.regions import configured_region, detected_region, is_fresh


def detection(
    score: float, class_id: str = "car", *, x: float = 100, theta: float = 0
) -> Detection2D:
    message = Detection2D()
    message.bbox.center.position.x, message.bbox.center.position.y = x, 50.0
    message.bbox.center.theta = theta
    message.bbox.size_x, message.bbox.size_y = 40.0, 20.0
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = class_id, score
    message.results = [hypothesis]
    return message


def detections(*items: Detection2D, sec: int = 10) -> Detection2DArray:
    message = Detection2DArray(detections=list(items))
    message.header.stamp = Time(sec=sec)
    return message


NOW = Time(sec=10, nanosec=100_000_000)


def test_most_certain_detection_wins() -> None:
    message = detections(detection(0.3, x=10.0), detection(0.8, x=200.0), detection(0.5, x=20.0))

    assert detected_region(message, NOW, Settings()) == Region(180.0, 40.0, 40.0, 20.0)


def test_only_the_wanted_class() -> None:
    message = detections(detection(0.9, "dog", x=10.0), detection(0.2, "car", x=200.0))

    region = detected_region(message, NOW, Settings(detection_class="car"))

    assert region == Region(180.0, 40.0, 40.0, 20.0)
    assert detected_region(message, NOW, Settings(detection_class="cat")) is None


def test_rotated_box_is_covered() -> None:
    region = detected_region(detections(detection(1.0, theta=math.pi / 2)), NOW, Settings())

    assert region is not None
    values = (region.x, region.y, region.width, region.height)
    np.testing.assert_allclose(values, (90, 30, 20, 40))


def test_detection_without_a_class_counts_if_none_is_wanted() -> None:
    item = detection(1.0)
    item.results = []

    assert detected_region(detections(item), NOW, Settings()) is not None
    assert detected_region(detections(item), NOW, Settings(detection_class="car")) is None


def test_nothing_detected() -> None:
    assert detected_region(None, NOW, Settings()) is None
    assert detected_region(detections(), NOW, Settings()) is None


def test_old_detection_is_not_used() -> None:
    message = detections(detection(1.0), sec=8)

    assert detected_region(message, NOW, Settings(detection_max_age=1.0)) is None
    assert detected_region(message, NOW, Settings(detection_max_age=3.0)) is not None
    assert not is_fresh(message, NOW)
    assert is_fresh(detections(sec=10), NOW)


def test_box_without_area() -> None:
    item = detection(1.0)
    item.bbox.size_x = 0.0

    with pytest.raises(ValueError, match="positive width and height"):
        detected_region(detections(item), NOW, Settings())


def test_configured_region() -> None:
    assert configured_region(Settings()) is None
    assert configured_region(Settings(region=(1.0, 2.0, 3.0, 4.0))) == Region(1.0, 2.0, 3.0, 4.0)
