"""Objects for MoveIt. Its messages are on no wheel: classes of the same fields stand in."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from kp3d_ros import collision, outputs
from kp3d_ros.categories import create_categories
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import CAMERA, UNIT_M, image_message, pose  # noqa: E402
from tiny_model import CANONICAL, NAMES, draw_scene, write_tiny_model  # noqa: E402

T_CAMERA_OBJECT = pose(2.0, (0.1, 0.05, 2.0))


class CollisionObject(SimpleNamespace):
    ADD, REMOVE = b"\x00", b"\x01"


class SolidPrimitive(SimpleNamespace):
    BOX = 1


@pytest.fixture
def moveit(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, kind in (("moveit_msgs", CollisionObject), ("shape_msgs", SolidPrimitive)):
        module = ModuleType(f"{name}.msg")
        setattr(module, kind.__name__, kind)
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, f"{name}.msg", module)


def test_without_moveit_there_is_no_topic() -> None:
    if collision.message_type() is None:
        assert outputs.COLLISION_TOPIC not in outputs.TOPICS


def test_keypoints_are_named_subframes(moveit: None, tmp_path: Path) -> None:
    settings = Settings(model=str(write_tiny_model(tmp_path / "t.onnx")), object_size=2 * UNIT_M)
    pipeline = Pipeline(create_categories(settings), settings, None)
    pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))
    answer: Any = pipeline.process(image_message(draw_scene(CAMERA, T_CAMERA_OBJECT, UNIT_M)))

    wanted = {outputs.COLLISION_TOPIC, "~/pose"}
    found = dict(outputs.answer_messages(answer, settings, wanted, True))

    assert collision.message_type() is CollisionObject
    message = found[outputs.COLLISION_TOPIC]
    assert (message.id, message.operation) == ("discs_1", b"\x00")
    assert message.header.frame_id == "camera_optical_frame"
    assert message.subframe_names == list(NAMES)
    at = [[p.position.x, p.position.y, p.position.z] for p in message.subframe_poses]
    # The tiny model reads positions to about a centimetre here.
    np.testing.assert_allclose(at, CANONICAL * UNIT_M, atol=0.02)
    (box,) = message.primitives
    np.testing.assert_allclose(box.dimensions, np.ptp(CANONICAL, axis=0) * UNIT_M, atol=0.04)
    assert message.pose == found["~/pose"].pose.pose


def test_lost_objects_leave_the_scene(moveit: None) -> None:
    message = collision.removal_message(Header(frame_id="camera"), "discs_1")

    assert (message.id, message.operation) == ("discs_1", b"\x01")
