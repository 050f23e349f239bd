"""Following one object, with and without a 2D detector."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from vision_msgs.msg import Detection2D, Detection2DArray

from kp3d_core.inference import CameraModel, Detector, load_model
from kp3d_ros.following import Follower
from kp3d_ros.parameters import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
from tiny_model import draw_scene, write_tiny_model  # noqa: E402

K = np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]])
CAMERA = CameraModel(K, 640, 480)
BLACK = np.zeros((480, 640, 3), np.uint8)
REQUIRED = Settings(detections_required=True)


def scene(x_m: float) -> NDArray[np.uint8]:
    T = np.eye(4)
    # Looking down on the discs from an angle at which none hides another.
    T[:3, :3] = [[-0.9093, 0.4161, 0.0], [-0.1621, -0.3541, -0.9211], [-0.3833, -0.8375, 0.3894]]
    T[:3, 3] = x_m, 0.0, 2.0
    return draw_scene(CAMERA, T, 0.3)


LEFT, RIGHT = scene(-0.5), scene(0.5)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    path = write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")
    return Detector(load_model(path), object_size_m=0.6)


def stamp(seconds: float) -> Time:
    return Time(sec=int(seconds), nanosec=int(seconds % 1 * 1e9))


def box(image: NDArray[np.uint8], seconds: float, **size: float) -> Detection2DArray:
    rows, columns = np.nonzero(image.any(axis=2))
    detection = Detection2D()
    detection.bbox.size_x = size.get("width", float(np.ptp(columns) + 1))
    detection.bbox.size_y = float(np.ptp(rows) + 1)
    detection.bbox.center.position.x = float(columns.min() + columns.max()) / 2
    detection.bbox.center.position.y = float(rows.min() + rows.max()) / 2
    message = Detection2DArray(detections=[detection])
    message.header.stamp = stamp(seconds)
    return message


def middle(detection: Any) -> float:
    return float(detection.keypoints_uv[:, 0].mean())


def test_one_detection_is_enough(detector: Detector) -> None:
    follower = Follower(detector)
    first = follower.update(LEFT, CAMERA, stamp(1), box(LEFT, 1), REQUIRED)
    second = follower.update(LEFT, CAMERA, stamp(9), None, REQUIRED)

    assert first is not None
    assert second is not None
    assert first.accepted
    assert second.accepted
    assert second.runs == 1
    assert follower.track == 1


def test_nowhere_to_look_without_the_required_detection(detector: Detector) -> None:
    follower = Follower(detector)

    assert follower.update(LEFT, CAMERA, stamp(1), None, REQUIRED) is None
    assert follower.update(LEFT, CAMERA, stamp(9), box(LEFT, 1), REQUIRED) is None  # too old


def test_region_parameter(detector: Detector) -> None:
    columns = np.nonzero(LEFT.any(axis=(0, 2)))[0]
    width = float(np.ptp(columns))
    settings = Settings(region=(float(columns[0]), 140.0, width, width))

    detection = Follower(detector).update(LEFT, CAMERA, stamp(1), None, settings)

    assert detection is not None
    assert detection.accepted


def test_detector_that_sees_the_object_elsewhere_is_believed(detector: Detector) -> None:
    both = np.maximum(LEFT, RIGHT)
    follower = Follower(detector)
    at_left = follower.update(both, CAMERA, stamp(1), box(LEFT, 1), REQUIRED)
    still_left = follower.update(
        both, CAMERA, stamp(2), box(RIGHT, 1.5), REQUIRED
    )  # half a second old
    at_right = follower.update(both, CAMERA, stamp(3), box(RIGHT, 3), REQUIRED)

    assert middle(at_left) < 320
    assert middle(still_left) < 320
    assert middle(at_right) > 320
    assert follower.track == 2


def test_keypoints_outside_the_box_are_refused(detector: Detector) -> None:
    # The box is on the object's edge: what is found from it lies mostly outside.
    wrong = box(LEFT, 1)
    wrong.detections[0].bbox.center.position.x += wrong.detections[0].bbox.size_x * 0.8
    follower = Follower(detector)

    detection = follower.update(LEFT, CAMERA, stamp(1), wrong, REQUIRED)

    assert detection is not None
    assert detection.problems == ("most keypoints are outside the box of the 2D detector",)
    assert not follower.tracking


def test_lost_object_is_forgotten(detector: Detector) -> None:
    follower = Follower(detector)
    follower.update(LEFT, CAMERA, stamp(1), box(LEFT, 1), REQUIRED)

    nothing = follower.update(BLACK, CAMERA, stamp(2), None, REQUIRED)

    assert nothing is not None
    assert not nothing.accepted
    assert not follower.tracking
    assert follower.update(LEFT, CAMERA, stamp(3), None, REQUIRED) is None


def test_time_that_runs_backwards_starts_anew(detector: Detector) -> None:
    follower = Follower(detector)
    follower.update(LEFT, CAMERA, stamp(5), box(LEFT, 5), REQUIRED)

    assert follower.update(LEFT, CAMERA, stamp(4), None, REQUIRED) is None


def test_box_without_area_disturbs_one_image_only(detector: Detector) -> None:
    follower = Follower(detector)
    follower.update(LEFT, CAMERA, stamp(1), box(LEFT, 1), REQUIRED)
    wrong = box(LEFT, 2, width=0.0)

    with pytest.raises(ValueError, match="positive width and height"):
        follower.update(LEFT, CAMERA, stamp(2), wrong, REQUIRED)
    detection = follower.update(LEFT, CAMERA, stamp(2.03), wrong, REQUIRED)

    assert detection is not None
    assert detection.accepted
    assert follower.track == 1
