"""The way from messages to found objects, without a node."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image

from kp3d_ros.answer import Unused
from kp3d_ros.categories import create_categories
from kp3d_ros.messages import keypoint_box
from kp3d_ros.outputs import TF_TOPIC, answer_messages, needs_places
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import CAMERA, FRAME, UNIT_M, box_around, boxes_around, image_message, pose  # noqa: E402
from tiny_model import CANONICAL, draw_scene, write_tiny_model  # noqa: E402

T_CAMERA_OBJECT = pose(2.0, (0.1, 0.05, 2.0))
SCENE = draw_scene(CAMERA, T_CAMERA_OBJECT, UNIT_M)
NOTHING = np.zeros_like(SCENE)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def make_pipeline(model: str, lookup: Any = None, **settings: Any) -> Pipeline:
    values = Settings(model=model, object_size=2 * UNIT_M, **settings)
    pipeline = Pipeline(create_categories(values), values, lookup)
    pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))
    return pipeline


def image_at(seconds: float, rgb: Any = SCENE) -> Image:
    message = image_message(rgb)
    message.header.stamp = Time(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))
    return message


def test_no_calibration_yet(model: str) -> None:
    settings = Settings(model=model)

    with pytest.raises(Unused, match="No CameraInfo has come yet") as error:
        Pipeline(create_categories(settings), settings, None).process(image_at(1))
    assert error.value.reason == "no calibration"


def test_gravity_frame_rolls_the_crop_upright(model: str) -> None:
    # The camera looks ahead, rolled by 40 degrees, in a frame whose z is up.
    roll = cv2.Rodrigues(np.array([0, 0, np.deg2rad(40)]))[0]
    T_odom_camera = np.eye(4)
    T_odom_camera[:3, :3] = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]) @ roll
    asked = []

    def lookup(target: str, source: str, time_ns: int) -> Any:
        asked.append((target, source, time_ns))
        return T_odom_camera

    answer = make_pipeline(model, lookup, gravity_frame="odom").process(image_at(1.5))

    assert asked == [("odom", "camera_optical_frame", 1_500_000_000)]
    (found,) = answer.objects
    down_crop = found.detection.crop.R_crop_camera @ (-T_odom_camera[2, :3])
    assert down_crop[0] == pytest.approx(0, abs=1e-9)  # neither left nor right
    assert down_crop[1] > 0.9


def test_without_the_gravity_frame_the_parameter_counts(model: str) -> None:
    def lookup(*_: Any) -> Any:
        raise ValueError("TF frames 'odom' and 'camera' must be connected, and they are not.")

    answer = make_pipeline(model, lookup, gravity_frame="odom", gravity=(0.5, 1.0, 0.0)).process(
        image_at(1)
    )

    (found,) = answer.objects
    down_crop = found.detection.crop.R_crop_camera @ np.array([0.5, 1.0, 0.0])
    assert down_crop[0] == pytest.approx(0, abs=1e-9)
    assert "must be connected" in answer.problems[0]


def test_without_the_fixed_frame_there_is_no_motion(model: str) -> None:
    def lookup(*_: Any) -> Any:
        raise ValueError("TF does not know that.")

    answer = make_pipeline(model, lookup, fixed_frame="odom").process(image_at(1))

    (found,) = answer.objects
    assert found.placement is None
    assert answer.problems == ["TF does not know that."]


def test_without_depth_there_are_no_metres_and_no_frames(model: str) -> None:
    settings = Settings(model=model, use_depth=True)
    pipeline = Pipeline(create_categories(settings), settings, None)
    pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))

    answer = pipeline.process(image_at(1))

    (found,) = answer.objects
    assert not found.detection.metric
    assert found.placement is None
    assert "No depth image within 0.05 s" in answer.problems[0]


def depth_image(unit: float, frame: str = FRAME, shape_hw: tuple[int, int] = (480, 640)) -> Image:
    """Depth of the scene as 32FC1, with plates at the keypoints; 1 is right, 1000 millimetres."""
    points = CANONICAL * UNIT_M @ T_CAMERA_OBJECT[:3, :3].T + T_CAMERA_OBJECT[:3, 3]
    depth = np.full((480, 640), 20.0, np.float32)
    for (u, v), z in zip(CAMERA.project(points), points[:, 2], strict=True):
        depth[int(v) - 2 : int(v) + 4, int(u) - 2 : int(u) + 4] = z
    depth = np.float32(unit) * cv2.resize(depth, shape_hw[::-1], interpolation=cv2.INTER_NEAREST)
    message = Image(width=shape_hw[1], height=shape_hw[0], encoding="32FC1", step=4 * shape_hw[1])
    message.data.frombytes(depth.tobytes())
    message.header.frame_id = frame
    message.header.stamp = Time(sec=1)
    return message


def test_depth_that_agrees_with_the_size_tells_the_scale(model: str) -> None:
    pipeline = make_pipeline(model, use_depth=True)
    pipeline.depths.put(depth_image(1.0))

    answer = pipeline.process(image_at(1))

    (found,) = answer.objects
    assert (found.from_depth, answer.problems) == (True, [])
    assert found.detection.unit_m == pytest.approx(UNIT_M, rel=0.02)


@pytest.mark.parametrize(
    ("depth", "text"),
    [
        (depth_image(1.0, frame="depth_optical_frame"), "got one in frame 'depth_optical_frame'"),
        (depth_image(1.0, shape_hw=(480, 848)), "its aspect ratio, got 848 x 480"),
    ],
    ids=["another frame", "another shape"],
)
def test_depth_that_cannot_be_right_is_named_and_not_used(
    model: str, depth: Image, text: str
) -> None:
    pipeline = make_pipeline(model, use_depth=True)
    pipeline.depths.put(depth)

    answer = pipeline.process(image_at(1))

    (found,) = answer.objects
    assert text in answer.problems[0]
    assert not found.from_depth
    assert found.detection.unit_m == UNIT_M  # that of 'object_size'


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (1000.0, "Depth must be in metres .32FC1"),
        (0.001, "nine pixels of ten closer than 0.02 m"),
        (np.nan, "must tell the distance of 'discs', and holds too few values"),
        (0.0, "must tell the distance of 'discs', and holds too few values"),
    ],
    ids=["millimetres", "thousandths", "nothing", "zeros"],
)
def test_depth_that_tells_no_size_gives_no_metres_and_says_so(
    model: str, unit: float, text: str
) -> None:
    settings = Settings(model=model, use_depth=True)
    pipeline = Pipeline(create_categories(settings), settings, None)
    pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))
    pipeline.depths.put(depth_image(unit))

    answer = pipeline.process(image_at(1))

    (found,) = answer.objects
    assert re.search(text, answer.problems[0])
    assert (found.detection.metric, found.from_depth, found.placement) == (False, False, None)


@pytest.mark.parametrize("hole", ["values", "image"])
def test_depth_with_holes_keeps_the_last_scale_less_surely(model: str, hole: str) -> None:
    """Metres do not come and go with the holes; what is too old counts no more."""
    settings = Settings(model=model, use_depth=True)
    pipeline = Pipeline(create_categories(settings), settings, None)
    pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))

    def found_at(seconds: float, unit: float | None) -> tuple[Any, list[str]]:
        if unit is not None:
            depth = depth_image(unit)
            depth.header.stamp = image_at(seconds).header.stamp
            pipeline.depths.put(depth)
        answer = pipeline.process(image_at(seconds))
        (found,) = answer.objects
        return found, answer.problems

    none = np.nan if hole == "values" else None
    first, _ = found_at(1.0, 1.0)
    held, problems = found_at(1.5, none)
    assert (held.detection.metric, held.from_depth) == (True, True)
    assert held.detection.unit_m == first.detection.unit_m
    assert held.placement is not None
    assert len(problems) == 1
    assert ("the one of 0.5 s ago is used" in problems[0]) == (hole == "values")
    later, _ = found_at(5.0, none)
    again, _ = found_at(5.5, 1.0)
    variances = [np.trace(f.detection.pose_covariance[:3, :3]) for f in (first, held, later, again)]
    assert variances[0] < variances[1] < variances[2] > variances[3]
    assert variances[3] == pytest.approx(variances[0], rel=0.05)

    for second in range(6, 18):
        lost, problems = found_at(second, none)
    assert (lost.detection.metric, lost.from_depth) == (False, False)
    assert ("its scale is not used" in problems[0]) == (hole == "values")


def test_the_scale_of_an_object_is_not_that_of_the_next(model: str) -> None:
    settings = Settings(model=model, use_depth=True, lost_timeout=0.1)
    pipeline = Pipeline(create_categories(settings), settings, None)
    pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))
    pipeline.depths.put(depth_image(1.0))
    assert pipeline.process(image_at(1)).objects[0].detection.metric
    for number in range(1, 5):
        pipeline.process(image_at(1 + 0.2 * number, NOTHING))

    (found,) = pipeline.process(image_at(2.2)).objects

    assert found.instance_id.endswith("_2")
    assert not found.detection.metric


def test_a_scale_that_contradicts_the_size_is_not_kept(model: str) -> None:
    pipeline = make_pipeline(model, use_depth=True)
    for seconds, unit in ((1.0, 1.0), (1.1, 3.0), (1.2, np.nan)):
        depth = depth_image(unit)
        depth.header.stamp = image_at(seconds).header.stamp
        pipeline.depths.put(depth)
        (found,) = pipeline.process(image_at(seconds)).objects

    assert (found.from_depth, found.detection.unit_m) == (False, UNIT_M)


@pytest.mark.parametrize("factor", [0.001, 0.4, 3.0, 1000.0])
def test_contradiction_of_depth_and_size_gives_no_metres(model: str, factor: float) -> None:
    pipeline = make_pipeline(model, use_depth=True)
    pipeline.depths.put(depth_image(factor))

    answer = pipeline.process(image_at(1))

    (found,) = answer.objects
    assert "must be 0.6 m by 'object_size', and is" in answer.problems[0]
    assert not found.detection.metric
    assert found.placement is None
    wanted = {"~/keypoints", "~/pose", "~/detections_3d", "/tf"}
    messages = dict(answer_messages(answer, pipeline.settings, wanted, True))
    (instance,) = messages.pop("~/keypoints").instances
    assert not instance.metric
    assert instance.scale_source == instance.SCALE_UNKNOWN
    assert messages.pop("~/detections_3d").detections == []
    assert messages == {}  # neither a pose nor a frame


def test_filter_is_surer_than_one_image(model: str) -> None:
    pipeline = make_pipeline(
        model, filter=True, filter_acceleration=0.1, filter_angular_acceleration=0.1
    )

    answers = [pipeline.process(image_at(1 + i / 30)) for i in range(30)]

    (first,), (last,) = answers[0].objects, answers[-1].objects
    std_first = np.sqrt(np.diag(first.placement.covariance))
    std_last = np.sqrt(np.diag(last.placement.covariance))
    assert (std_last < 0.75 * std_first).all()
    np.testing.assert_allclose(last.placement.T_camera_object, T_CAMERA_OBJECT, atol=0.03)
    assert 0 < float(pipeline.facts()["filter, time constant [s]"]) < 1


def test_filtered_box_and_pose_are_one(model: str) -> None:
    pipeline = make_pipeline(model, filter=True, filter_acceleration=0.1)
    pipeline.process(image_at(1))
    moved = draw_scene(CAMERA, pose(2.15, (0.14, 0.03, 1.95)), UNIT_M)
    answer = pipeline.process(image_at(1.1, moved))
    (found,) = answer.objects

    messages = dict(answer_messages(answer, pipeline.settings, {"~/detections_3d"}, True))

    (detection,) = messages["~/detections_3d"].detections
    told, box = detection.results[0].pose.pose, detection.bbox.center
    T_told = found.placement.T_camera_object
    assert np.linalg.norm(T_told[:3, 3] - found.detection.T_camera_object[:3, 3]) > 0.005
    np.testing.assert_allclose(_xyz(told.position), T_told[:3, 3])
    assert box.orientation == told.orientation
    # The box lies in the told object frame as the keypoints do in the one that was seen.
    middle = np.linalg.inv(T_told) @ [*_xyz(box.position), 1.0]
    low, high = keypoint_box(found.detection)
    np.testing.assert_allclose(middle[:3], (low + high) / 2, atol=1e-9)


def _xyz(point: Any) -> list[float]:
    return [point.x, point.y, point.z]


def test_unasked_poses_are_not_worked_out_but_references_are_taken(model: str) -> None:
    pipeline = make_pipeline(model)
    moved = draw_scene(CAMERA, pose(2.15, (0.14, 0.03, 1.95)), UNIT_M)

    def place(time_s: float, image: Any = None, *, is_asked: bool) -> Any:
        answer = pipeline.look(image_at(time_s) if image is None else image_at(time_s, image))
        pipeline.place(answer, is_asked=is_asked)
        return answer.objects[0].placement

    np.testing.assert_allclose(
        place(1, is_asked=False).T_reference_object, np.eye(4), atol=1e-9
    )  # the first image is the reference, whoever listens
    assert place(1.1, is_asked=False) is None
    later = place(1.2, moved, is_asked=True)
    assert np.linalg.norm(later.T_reference_object[:3, 3]) > 0.04
    pipeline.inbox.want_references()
    assert place(1.3, moved, is_asked=False) is not None
    assert np.linalg.norm(place(1.4, moved, is_asked=True).T_reference_object[:3, 3]) < 0.01


def test_filters_see_every_image(model: str) -> None:
    pipeline = make_pipeline(model, filter=True)
    for number in range(3):
        answer = pipeline.look(image_at(1 + number / 30))
        pipeline.place(answer, is_asked=False)
        assert answer.objects[0].placement is not None


@pytest.mark.parametrize(
    ("wanted", "needed"),
    [
        ((), False),
        (("~/keypoints", "~/overlay", "~/markers"), False),
        (("~/keypoints", "~/relative_pose"), True),
        (("/tf",), True),
        (("~/detections_3d",), True),
    ],
)
def test_who_needs_places(wanted: tuple[str, ...], needed: bool) -> None:
    assert needs_places(wanted) is needed


def test_time_that_jumps_back_takes_a_new_reference(model: str) -> None:
    pipeline = make_pipeline(model)
    moved = draw_scene(CAMERA, pose(2.15, (0.14, 0.03, 1.95)), UNIT_M)
    pipeline.process(image_at(10))
    (before,) = pipeline.process(image_at(10.1, moved)).objects

    answer = pipeline.process(image_at(5, moved))

    (after,) = answer.objects
    assert np.linalg.norm(before.placement.T_reference_object[:3, 3]) > 0.04
    np.testing.assert_allclose(after.placement.T_reference_object, np.eye(4), atol=1e-9)
    assert [instance_id for _, instance_id in answer.lost] == ["discs_1"]
    assert after.instance_id == "discs_2"


def test_time_that_jumps_back_takes_a_new_reference_of_an_object_that_is_lost(model: str) -> None:
    pipeline = make_pipeline(model)
    moved = draw_scene(CAMERA, pose(2.15, (0.14, 0.03, 1.95)), UNIT_M)
    pipeline.process(image_at(10))
    for time_s in (11, 12):
        answer = pipeline.process(image_at(time_s, NOTHING))
    assert [instance_id for _, instance_id in answer.lost] == ["discs_1"]

    (after,) = pipeline.process(image_at(5, moved)).objects

    np.testing.assert_allclose(after.placement.T_reference_object, np.eye(4), atol=1e-9)


def test_a_clock_that_is_set_back_by_little_starts_anew(model: str) -> None:
    pipeline = make_pipeline(model)
    pipeline.process(image_at(10))
    message = image_at(10)
    pipeline.inbox.put_detections(box_around(SCENE, message))
    pipeline.depths.put(message)

    pipeline.set_back()
    answer = pipeline.process(image_at(9.9))

    assert [found.instance_id for found in answer.objects] == ["discs_2"]
    assert answer.given.detections is None
    assert pipeline.depths.nearest(10 * 10**9, 9.0) is None
    assert "Time was set back" in answer.problems[0]
    assert pipeline.process(image_at(10)).problems == []


def test_what_is_from_before_a_jump_back_does_not_count_after_it(model: str) -> None:
    pipeline = make_pipeline(model)
    pipeline.process(image_at(10))
    late = image_at(10)
    pipeline.inbox.put_detections(box_around(SCENE, late))
    pipeline.depths.put(late)

    pipeline.process(image_at(8))
    answer = pipeline.process(image_at(9.9))

    assert answer.given.detections is None
    assert pipeline.depths.nearest(10 * 10**9, 9.0) is None


def test_images_that_change_places_cost_one_of_them_and_nothing_else(model: str) -> None:
    pipeline = make_pipeline(model)
    moved = draw_scene(CAMERA, pose(2.15, (0.14, 0.03, 1.95)), UNIT_M)
    pipeline.process(image_at(10))
    pipeline.process(image_at(10.066, moved))

    with pytest.raises(Unused, match=r"taken 0.033 s before the last one") as error:
        pipeline.process(image_at(10.033, moved))
    answer = pipeline.process(image_at(10.1, moved))

    assert error.value.reason == "late"
    (found,) = answer.objects
    assert (found.instance_id, answer.lost) == ("discs_1", [])
    assert np.linalg.norm(found.placement.T_reference_object[:3, 3]) > 0.04


@pytest.mark.parametrize("stamp_s", [0, 1.7e9])
def test_equal_stamps(model: str, stamp_s: float) -> None:
    pipeline = make_pipeline(model, filter=True)
    for _ in range(3):
        (found,) = pipeline.process(image_at(stamp_s)).objects
    assert found.instance_id == "discs_1"

    blacks = [pipeline.process(image_at(stamp_s, NOTHING)) for _ in range(40)]

    assert [answer.objects for answer in blacks] == [[]] * 40
    lost = [instance_id for answer in blacks for _, instance_id in answer.lost]
    assert lost == ["discs_1"]
    assert not pipeline.remembers


def test_a_box_grows_old_where_stamps_repeat(model: str) -> None:
    pipeline = make_pipeline(model)
    pipeline.inbox.put_detections(box_around(SCENE, image_at(0)))
    assert len(pipeline.process(image_at(0)).objects) == 1
    for _ in range(40):
        pipeline.process(image_at(0, NOTHING))

    elsewhere = draw_scene(CAMERA, pose(2.0, (-0.6, 0.05, 2.0)), UNIT_M)
    (found,) = pipeline.process(image_at(0, elsewhere)).objects

    assert found.detection.T_camera_object[0, 3] == pytest.approx(-0.6, abs=0.04)


def test_another_camera_does_not_get_the_reference_of_the_first(model: str) -> None:
    pipeline = make_pipeline(model)
    moved = draw_scene(CAMERA, pose(2.15, (0.14, 0.03, 1.95)), UNIT_M)
    pipeline.process(image_at(10))
    other = image_at(10.1, moved)
    other.header.frame_id = "rear_camera"
    boxes = box_around(SCENE, image_at(10.1))
    pipeline.inbox.put_detections(boxes)

    answer = pipeline.process(other)

    (found,) = answer.objects
    assert answer.anchor_frame == "rear_camera"
    np.testing.assert_allclose(found.placement.T_reference_object, np.eye(4), atol=1e-9)
    assert [instance_id for _, instance_id in answer.lost] == ["discs_1"]
    assert answer.given.detections is None  # boxes in the image of the first one
    assert "'camera_optical_frame' expected, got 'rear_camera'" in answer.problems[0]


def test_boxes_in_the_image_of_another_camera_are_not_used(model: str) -> None:
    pipeline = make_pipeline(model, detections_required=True)
    boxes = box_around(SCENE, image_at(1))
    for frame_id, count in (("rear_camera", 0), (f"/{FRAME}", 1)):
        boxes.header.frame_id = frame_id
        pipeline.inbox.put_detections(boxes)
        answer = pipeline.process(image_at(1))

        assert len(answer.objects) == count
        expected = f"must be in the image's frame '{FRAME}', got 'rear_camera'"
        assert (expected in answer.ignored) is (count == 0)


def test_in_a_fixed_frame_the_reference_outlives_the_camera(model: str) -> None:
    T_rear = np.eye(4)
    T_rear[:3, 3] = 5.0, 0.0, 0.0

    def lookup(_target: str, source: str, _time_ns: int) -> Any:
        return T_rear if source == "rear_camera" else np.eye(4)

    pipeline = make_pipeline(model, lookup, fixed_frame="/odom", filter=True)
    for i in range(5):
        first = pipeline.process(image_at(10 + i / 30))
    other = image_at(10.2, draw_scene(CAMERA, pose(2.15, (0.14, 0.03, 1.95)), UNIT_M))
    other.header.frame_id = "rear_camera"
    other = pipeline.process(other)

    assert (first.anchor_frame, other.anchor_frame) == ("odom", "odom")
    (found,) = other.objects
    # Five metres beside the first, by the transforms; and what was filtered there says nothing.
    assert np.linalg.norm(found.placement.T_reference_object[:3, 3]) > 4.0
    np.testing.assert_allclose(
        found.placement.T_camera_object, found.detection.T_camera_object, atol=1e-9
    )


def test_frames_are_named_as_tf2_takes_them(model: str) -> None:
    asked = []

    def lookup(*arguments: Any) -> Any:
        asked.append(arguments[:2])
        return np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])

    pipeline = make_pipeline(
        model, lookup, gravity_frame="/base", fixed_frame="/odom", object_name="/box"
    )
    message = image_at(1)
    message.header.frame_id = "/camera"
    answer = pipeline.process(message)

    assert asked == [("base", "camera"), ("odom", "camera")]
    published = answer_messages(answer, pipeline.settings, {TF_TOPIC, "~/keypoints"}, True)
    (_, keypoints), (_, tf) = published
    names = [(t.header.frame_id, t.child_frame_id) for t in tf.transforms]
    assert names == [("odom", "box_reference"), ("box_reference", "box")]
    assert keypoints.header.frame_id == "camera"


def test_an_image_without_a_frame_gives_no_tf_and_says_so(model: str) -> None:
    pipeline = make_pipeline(model)
    message = image_at(1)
    message.header.frame_id = ""
    answer = pipeline.process(message)

    topics = [t for t, _ in answer_messages(answer, pipeline.settings, {TF_TOPIC, "~/pose"}, True)]
    assert topics == ["~/pose"]
    assert "must have a frame_id, got an empty one" in answer.problems[0]


def test_reset_forgets_the_direction_of_gravity(model: str) -> None:
    known = True

    def lookup(*_: Any) -> Any:
        if not known:
            raise ValueError("not known")
        return np.array([[0.0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]])

    pipeline = make_pipeline(model, lookup, gravity_frame="odom")
    pipeline.process(image_at(1))
    known = False
    (kept,) = pipeline.process(image_at(1.1)).objects
    pipeline.reset()
    pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))
    (forgotten,) = pipeline.process(image_at(1.2)).objects

    downs = [found.detection.crop.R_crop_camera[1] for found in (kept, forgotten)]
    assert downs[0][0] > 0.9  # gravity along x
    assert downs[1][1] > 0.9


def test_image_of_another_size_needs_its_own_calibration(model: str) -> None:
    pipeline = make_pipeline(model)
    pipeline.process(image_at(1))
    half = Image(width=320, height=240, encoding="rgb8", step=960)
    half.data.extend(np.ascontiguousarray(cv2.resize(SCENE, (320, 240))).tobytes())
    half.header.stamp = Time(sec=2)

    with pytest.raises(ValueError, match="must have 640 x 480 pixels.*got 320 x 240"):
        pipeline.process(half)

    K = CAMERA.K.copy()
    K[:2, :2] /= 2
    K[:2, 2] = (K[:2, 2] + 0.5) / 2 - 0.5
    pipeline.calibrations.put(CameraInfo(width=320, height=240, k=K.ravel()))
    (found,) = pipeline.process(half).objects
    # Half the pixels, twice the tolerance: 2 % of 2 m.
    np.testing.assert_allclose(
        found.detection.T_camera_object[:3, 3], T_CAMERA_OBJECT[:3, 3], atol=0.04
    )


def test_boxes_of_one_category_start_no_search_for_the_other(model: str) -> None:
    size = 2 * UNIT_M
    settings = Settings(models=(f"mug={model}@{size}", f"cup={model}@{size}"))
    pipeline = Pipeline(create_categories(settings), settings, None)
    pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))
    mugs = boxes_around({"mug": SCENE}, image_at(1))

    pipeline.inbox.put_detections(mugs)
    answer = pipeline.process(image_at(1))

    assert [found.category.name for found in answer.objects] == ["mug"]
    assert answer.refused == []

    answer = pipeline.process(image_at(3))  # the boxes are too old to tell
    assert {found.category.name for found in answer.objects} == {"mug", "cup"}


def test_a_box_of_another_cameras_size_costs_nothing_but_itself(model: str) -> None:
    pipeline = make_pipeline(model)
    message = image_at(1)
    boxes = box_around(SCENE, message)
    boxes.detections[0].bbox.center.position.x *= 3
    boxes.detections[0].bbox.center.position.y *= 3
    pipeline.process(message)

    pipeline.inbox.put_detections(boxes)
    answers = [pipeline.process(image_at(1 + i / 30)) for i in range(1, 20)]

    assert [found.instance_id for a in answers for found in a.objects] == ["discs_1"] * 19
    assert all("left out: Region must overlap" in answer.problems[0] for answer in answers)


def test_a_box_in_an_image_of_another_size_takes_no_object_away(model: str) -> None:
    pipeline = make_pipeline(model)
    part = np.ascontiguousarray(SCENE[20:460, 140:600])
    K = CAMERA.K - [[0, 0, 140.0], [0, 0, 20.0], [0, 0, 0]]

    def part_at(seconds: float) -> Image:
        message = Image(width=460, height=440, encoding="rgb8", step=3 * 460)
        message.data.extend(part.tobytes())
        message.header = image_at(seconds).header
        return message

    first = image_at(1)
    pipeline.inbox.put_detections(box_around(SCENE, first))
    pipeline.process(first)
    pipeline.calibrations.put(CameraInfo(width=460, height=440, k=K.ravel()))
    answers = [pipeline.process(part_at(1 + i / 30)) for i in range(1, 8)]
    pipeline.inbox.put_detections(box_around(SCENE, first))  # of a slow 2D detector
    answers.append(pipeline.process(part_at(1.27)))
    pipeline.inbox.put_detections(box_around(part, part_at(1.3)))
    answers.append(pipeline.process(part_at(1.3)))

    assert [found.instance_id for a in answers for found in a.objects] == ["discs_1"] * 9
    assert [text for a in answers for text in a.problems] == []
    assert "an image of another size" in answers[-2].ignored
    assert answers[-1].ignored == ""


@pytest.mark.parametrize(
    ("models", "text"),
    [
        (("car",), "CLASS=MODEL or CLASS=MODEL@SIZE.*got 'car'"),
        (("car=car@big",), "got 'car=car@big'"),
        (("car=car@-1",), "got 'car=car@-1'"),
        (("a=car", "a=car"), "'a' twice"),
        (("a=missing.onnx@1.0",), r"missing.onnx \(no such file\)"),
    ],
)
def test_wrong_models(models: tuple[str, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        create_categories(Settings(models=models))


def test_one_model_file_is_loaded_once(model: str) -> None:
    a, b = create_categories(Settings(models=(f"a={model}@0.5", f"b={model}")))

    assert a.detector.engine is b.detector.engine
    assert (a.detector.unit_m, a.name, a.frame(3)) == (0.25, "a", "a")
    assert (b.detector.metric, b.name) == (False, "b_up_to_scale")
