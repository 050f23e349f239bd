"""Detections to regions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from kp3d_core.inference import Region
from kp3d_ros.regions import configured_regions, places_for, why_ignored
from kp3d_ros.settings import Settings


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


def boxes(message: Detection2DArray | None, class_id: str = "", **settings: float) -> list[Region]:
    places, problems = places_for(message, NOW, class_id, Settings(**settings))
    assert problems == []
    return list(places.boxes)


def test_most_certain_detection_comes_first() -> None:
    message = detections(detection(0.3, x=10.0), detection(0.8, x=200.0), detection(0.5, x=20.0))

    assert [box.x for box in boxes(message)] == [180.0, 0.0, -10.0]
    assert boxes(message)[0] == Region(180.0, 40.0, 40.0, 20.0)


def test_only_the_wanted_class() -> None:
    message = detections(detection(0.9, "dog", x=10.0), detection(0.2, "car", x=200.0))

    assert boxes(message, "car") == [Region(180.0, 40.0, 40.0, 20.0)]
    assert boxes(message, "cat") == []


def test_other_categories_are_not_searched_for_where_the_detector_shows_one() -> None:
    """It knows the classes, and saw none of theirs: a search costs ten looks and finds patterns."""

    def boxes_only(message: Detection2DArray, class_id: str, **settings: Any) -> bool:
        values = Settings(**settings)
        return places_for(message, NOW, class_id, values, 0.0, ["car", "mug"])[0].boxes_only

    cars = detections(detection(0.9, "car"))
    assert not boxes_only(cars, "car")
    assert boxes_only(cars, "mug")
    assert not boxes_only(cars, "mug", region=(0.0, 0.0, 100.0, 100.0))  # somebody else says where
    assert not boxes_only(detections(detection(0.9, "dog")), "mug")
    assert not boxes_only(detections(), "mug")
    assert not boxes_only(detections(detection(0.9, "car"), sec=1), "mug")  # long ago


def test_rotated_box_is_covered() -> None:
    (region,) = boxes(detections(detection(1.0, theta=math.pi / 2)))

    values = (region.x, region.y, region.width, region.height)
    np.testing.assert_allclose(values, (90, 30, 20, 40))


def test_detection_without_a_class_counts_if_none_is_wanted() -> None:
    item = detection(1.0)
    item.results = []

    assert len(boxes(detections(item))) == 1
    assert boxes(detections(item), "car") == []


def test_nothing_detected() -> None:
    assert boxes(None) == boxes(detections()) == []


def test_old_detection_is_not_used() -> None:
    message = detections(detection(1.0), sec=8)

    assert boxes(message, detection_max_age=1.0) == []
    assert len(boxes(message, detection_max_age=3.0)) == 1
    assert not places_for(message, NOW, "", Settings(detection_max_age=3.0))[0].boxes_are_fresh
    assert places_for(detections(sec=10), NOW, "", Settings())[0].boxes_are_fresh


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("size_x", 0.0, "positive width and height"),
        ("size_y", math.inf, "finite corners"),
        ("theta", math.nan, "the angle of a box must be finite, got nan"),
    ],
)
def test_box_that_is_none_is_left_out(field: str, value: float, text: str) -> None:
    wrong, good = detection(0.9), detection(0.5, x=200.0)
    setattr(wrong.bbox.center if field == "theta" else wrong.bbox, field, value)

    places, problems = places_for(detections(wrong, good), NOW, "", Settings())

    assert [box.x for box in places.boxes] == [180.0]
    assert text in problems[0]


def test_box_in_fractions_of_the_image_is_left_out() -> None:
    wrong = detection(0.9, x=0.4)
    wrong.bbox.center.position.y, wrong.bbox.size_x, wrong.bbox.size_y = 0.5, 0.3, 0.2

    places, problems = places_for(detections(wrong), NOW, "", Settings())

    assert list(places.boxes) == []
    assert problems == [
        "Detection left out: boxes must be in pixels, got 0.3 x 0.2 at (0.4, 0.5), which looks "
        "like fractions of the image. Multiply by the image's width and height."
    ]
    assert "which looks like fractions" in why_ignored(detections(wrong), NOW, [""], Settings())


def test_why_detections_are_ignored() -> None:
    def why(message: Detection2DArray, *classes: str, **settings: float) -> str:
        return why_ignored(message, NOW, classes or [""], Settings(**settings))

    cars = detections(detection(0.9), detection(0.8, "bus"))
    assert why(cars) == why(cars, "car") == why(cars, "cat", "bus") == why(detections()) == ""
    assert why(cars, "cat", "dog") == (
        "Detections are not used: none of the 2 has class_id 'cat', 'dog', they have 'bus', 'car'. "
        "Set 'detection_class', or CLASS in 'models', to what the 2D detector says; empty: any "
        "class."
    )
    late = detections(detection(0.9), sec=3)
    assert why(late) == (
        "Detections are not used: their stamp must be within 1 s of the image's "
        "('detection_max_age'), it is 7.1 s earlier. Give them the stamp of the image that they "
        "were made of, or raise that parameter."
    )
    assert "it is 2.9 s later" in why(detections(detection(0.9), sec=13))
    for classes in ([""], ["car"]):
        assert "their scores must be numbers, got nan" in why(
            detections(detection(math.nan)), *classes
        )
    assert "it is not set. Give them" in why(Detection2DArray(detections=[detection(0.9)]))
    assert why(late, detection_max_age=8.0) == ""
    bare = detection(0.9)
    bare.results = []
    assert "they have no result at all" in why(detections(bare), "car")


def test_configured_regions() -> None:
    assert configured_regions(Settings()) == []
    two = Settings(region=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0))
    anywhere = math.inf  # the object is somewhere in a region, not the size of it
    assert configured_regions(two) == [
        Region(1.0, 2.0, 3.0, 4.0, anywhere),
        Region(5.0, 6.0, 7.0, 8.0, anywhere),
    ]
