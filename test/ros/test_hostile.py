"""Hostile messages through the pipeline: refused with a reason, or answered with finite numbers."""

from __future__ import annotations

import array
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from kp3d_ros.categories import create_categories
from kp3d_ros.demo import hostile
from kp3d_ros.demo.trust import not_finite
from kp3d_ros.outputs import TF_TOPIC, TOPICS, answer_messages
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.settings import Settings
from kp3d_ros.tf_buffer import TfBuffer

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import CAMERA, UNIT_M, image_message, pose  # noqa: E402
from tiny_model import draw_scene, write_tiny_model  # noqa: E402

COUNT = 600
GOOD = image_message(draw_scene(CAMERA, pose(2.0, (0.1, 0.05, 2.0)), UNIT_M))
INFO = CameraInfo(width=640, height=480, k=CAMERA.K.ravel())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflow where 1e308 is a focal length
def test_nothing_hostile_gets_through(model: str) -> None:
    settings = Settings(
        model=model, object_size=2 * UNIT_M, use_depth=True, gravity_frame="odom", tf_timeout=0.0
    )
    buffer = TfBuffer()
    pipeline = Pipeline(create_categories(settings), settings, buffer.lookup)
    refused = answered = 0
    clock = 0

    def good_is_answered() -> bool:
        nonlocal clock
        clock += 1
        GOOD.header.stamp = Time(sec=clock)
        pipeline.calibrations.put(INFO)
        pipeline.inbox.put_detections(None)
        answer = pipeline.process(GOOD)
        return len(answer.objects) == 1

    def use(message: Any) -> None:
        nonlocal refused, answered
        if isinstance(message, CameraInfo):
            pipeline.calibrations.put(message)
            message = GOOD  # the image that meets this calibration
        elif isinstance(message, TFMessage):
            buffer.add(message)
            message = GOOD
        elif not isinstance(message, (Image, CompressedImage)):
            pipeline.inbox.put_detections(message)
            GOOD.header.stamp = message.header.stamp
            message = GOOD
        elif isinstance(message, Image):
            pipeline.inbox.put_depth(message)
        try:
            answer = pipeline.process(message)
        except ValueError:
            refused += 1
        else:
            for _, output in answer_messages(
                answer, settings, {*TOPICS, TF_TOPIC}, pipeline.remembers
            ):
                assert list(not_finite(output)) == []
            answered += bool(answer.objects)
        if (refused + answered) % 100 == 0:
            assert good_is_answered()

    assert good_is_answered()
    hostile.for_each(hostile.hostile_messages(GOOD), COUNT, use)

    assert good_is_answered()
    assert refused > COUNT / 10
    assert answered > COUNT / 10


def test_the_yardstick_finds_what_is_not_finite() -> None:
    info = CameraInfo(k=np.full(9, np.inf), d=array.array("d", [0.0]))

    assert list(not_finite(info)) == ["k"]
    assert list(not_finite(CameraInfo())) == []
