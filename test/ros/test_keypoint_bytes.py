"""Keypoints that are written into a serialized message are those of the message itself."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo

from kp3d_ros import keypoint_bytes
from kp3d_ros.answer import Answer
from kp3d_ros.categories import create_categories
from kp3d_ros.keypoint_bytes import KeypointBytes
from kp3d_ros.msg import Keypoints3DArray
from kp3d_ros.outputs import KEYPOINTS_TOPIC, keypoint_messages
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import CAMERA, UNIT_M, image_message, pose  # noqa: E402
from tiny_model import draw_scene, write_tiny_model  # noqa: E402


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[Answer]:
    """Of images of a moving object."""
    model = str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))
    settings = Settings(model=model, object_size=2 * UNIT_M)
    pipeline = Pipeline(create_categories(settings), settings, None)
    pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))
    found = []
    for i in range(4):
        rgb = draw_scene(CAMERA, pose(2.0 + 0.02 * i, (0.1 - 0.01 * i, 0.05, 2.0)), UNIT_M)
        message = image_message(rgb)
        message.header.stamp = Time(sec=10 + i, nanosec=999_999_999 - i)
        found.append(pipeline.look(message))
    return found


def expected(answer: Answer) -> Keypoints3DArray:
    ((_, message),) = keypoint_messages(answer, {KEYPOINTS_TOPIC})
    return message


def assert_same(data: bytes, answer: Answer) -> None:
    got = deserialize_message(data, Keypoints3DArray)
    wanted = deserialize_message(serialize_message(expected(answer)), Keypoints3DArray)
    for instance in (*got.instances, *wanted.instances):
        if math.isnan(instance.model_unit_m):  # which equals nothing
            instance.model_unit_m = -1.0
    assert got == wanted


def seen(answer: Answer, *instance_ids: str, frame_id: str = "camera", **values: Any) -> Answer:
    """An answer with objects of some names; their keypoints are in other places."""
    (found,) = answer.objects
    objects = [
        replace(
            found,
            instance_id=instance_id,
            detection=replace(
                found.detection,
                keypoints_camera=found.detection.keypoints_camera + number,
                keypoints_uv=found.detection.keypoints_uv + 300 * number,
                **values,
            ),
        )
        for number, instance_id in enumerate(instance_ids)
    ]
    header = replace_header(answer.header, frame_id)
    return replace(answer, header=header, objects=objects)


def replace_header(header: Any, frame_id: str) -> Any:
    return type(header)(stamp=header.stamp, frame_id=frame_id)


def test_numbers_of_later_images_are_their_own(answers: list[Answer]) -> None:
    writer = KeypointBytes()
    first = writer.of(answers[0])
    assert isinstance(first, Keypoints3DArray)

    for answer in (*answers[1:], answers[0]):
        data = writer.of(answer)
        assert isinstance(data, bytes)
        assert_same(data, answer)


@pytest.mark.parametrize("frame_id", ["", "c", "ca", "cam", "came", "Küche"])
@pytest.mark.parametrize("ids", [("a",), ("ab", "abc"), ("abcd", "é", "abcdefgh")])
def test_texts_of_all_lengths(answers: list[Answer], ids: tuple[str, ...], frame_id: str) -> None:
    writer = KeypointBytes()
    writer.of(seen(answers[0], *ids, frame_id=frame_id))

    answer = seen(answers[1], *ids, frame_id=frame_id)
    data = writer.of(answer)

    assert isinstance(data, bytes)
    assert_same(data, answer)
    (*_, last) = deserialize_message(data, Keypoints3DArray).instances
    visibilities = {keypoint.visibility for keypoint in last.keypoints}
    assert (3 in visibilities) == (len(ids) > 1)  # moved out of the image


def test_up_to_scale(answers: list[Answer]) -> None:
    writer = KeypointBytes()
    for answer in answers[:2]:
        data = writer.of(seen(answer, "a", metric=False))

    assert_same(data, seen(answers[1], "a", metric=False))
    assert math.isnan(deserialize_message(data, Keypoints3DArray).instances[0].model_unit_m)


def test_other_shapes_are_messages_at_first(answers: list[Answer]) -> None:
    writer = KeypointBytes()
    kinds = [
        type(writer.of(answer))
        for answer in (
            seen(answers[0], "a"),
            seen(answers[1], "a"),
            seen(answers[1], "a", "b"),
            seen(answers[1], "a", frame_id="other"),
            seen(answers[2], "a"),
            seen(answers[2]),
            seen(answers[3]),
        )
    ]

    array = Keypoints3DArray
    assert kinds == [array, bytes, array, array, bytes, array, array]


def test_bytes_that_another_middleware_would_make_are_not_guessed(
    answers: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(message: Any) -> bytes:
        data = serialize_message(message)
        return data[:4] + b"\x00\x00\x00\x00" + data[4:]

    monkeypatch.setattr(keypoint_bytes, "serialize_message", other)
    writer = KeypointBytes()

    assert [type(writer.of(answer)) for answer in answers] == 4 * [Keypoints3DArray]


def test_kept_shapes_are_few(answers: list[Answer]) -> None:
    writer = KeypointBytes()
    for number in range(100):
        writer.of(seen(answers[0], f"object_{number}"))

    assert len(writer._shapes) <= 16
    assert np.all([shape is not None for shape in writer._shapes.values()])
