"""Objects without a front, or without any yaw: what is published says so, and keeps still."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, Image

from kp3d_core.geometry.symmetry import UNKNOWN_VARIANCE, turn_about_z
from kp3d_ros.answer import Answer
from kp3d_ros.categories import create_categories
from kp3d_ros.keypoint_bytes import KeypointBytes
from kp3d_ros.msg import Keypoints3DArray
from kp3d_ros.outputs import TF_TOPIC, answer_messages, layouts
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import CAMERA, UNIT_M, image_message, pose  # noqa: E402
from tiny_model import draw_scene, metadata, write_tiny_model  # noqa: E402

T_CAMERA_OBJECT = pose(2.0, (0.1, 0.05, 2.0))
SCENE = draw_scene(CAMERA, T_CAMERA_OBJECT, UNIT_M)
TURNED = draw_scene(CAMERA, T_CAMERA_OBJECT @ np.diag([-1.0, -1, 1, 1]), UNIT_M)
T_ODOM_OBJECT = np.array([[0.0, -1, 0, 3], [1, 0, 0, 1], [0, 0, 1, 0.4], [0, 0, 0, 1]])


@pytest.fixture(scope="module", params=["two-fold", "full"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny model, of objects that are said to have a symmetry."""
    content = metadata() | {"symmetry": request.param}
    folder = tmp_path_factory.mktemp(request.param)
    return str(write_tiny_model(folder / "tiny.onnx", kp3d_metadata=content))


def _turned(T: Any, angle: float) -> Any:
    return turn_about_z(T, np.array(math.cos(angle)), np.array(math.sin(angle)))


class Walk:
    """A camera that walks around an object that stands still."""

    def __init__(self, model: str, **settings: Any) -> None:
        values = Settings(
            model=model, object_size=2 * UNIT_M, fixed_frame="odom", object_name="tiny", **settings
        )
        self.pipeline = Pipeline(create_categories(values), values, lambda *_: self.T_odom_camera)
        self.pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))
        self.symmetry = self.pipeline.categories[0].model.symmetry
        self._angle, self._time_s = 0.0, 1.0

    @property
    def T_odom_camera(self) -> Any:
        return _turned(T_ODOM_OBJECT, self._angle) @ np.linalg.inv(T_CAMERA_OBJECT)

    def look(self, angle: float, seen: Any = SCENE) -> Answer:
        """The answer from the other side by an angle, where the object looks the same."""
        self._angle = angle
        self._time_s += 0.1
        message: Image = image_message(seen)
        message.header.stamp = Time(sec=int(self._time_s), nanosec=int(self._time_s % 1 * 1e9))
        return self.pipeline.process(message)


@pytest.mark.parametrize("smooth", [False, True])
def test_the_frame_of_an_object_at_rest_rests(model: str, smooth: bool) -> None:
    walk = Walk(model, filter=smooth)
    # Of a bottle all views are alike; of the other kind now this, now that answer is given.
    # A filter knows nothing of the camera's motion, whatever the object: it gets a slow one.
    angles = np.linspace(0, 0.1, 9) if smooth else [0.0, 0.5, 1.6, 3.0, 4.5]
    looks = [(angle, SCENE) for angle in angles]
    if walk.symmetry == "two-fold":
        looks = [(0.0, SCENE), (0.0, TURNED), (0.0, TURNED), (0.0, SCENE), (0.0, TURNED)]
    told, keypoints = [], []
    for angle, scene in looks:
        answer = walk.look(angle, scene)
        (found,) = answer.objects
        place = found.placement
        assert place is not None
        told.append(place.T_anchor_reference @ place.T_reference_object)
        # ~/pose stands about the axis as the frame of TF does; the model reads to a degree or so.
        in_odom = walk.T_odom_camera @ place.T_camera_object
        np.testing.assert_allclose(in_odom, told[0], atol=0.03)
        keypoints.append(found.detection.keypoints_camera)
    np.testing.assert_allclose(told, [told[0]] * len(told), atol=0.03)
    np.testing.assert_allclose(keypoints, [keypoints[0]] * len(told), atol=0.03)


def test_messages_tell_that_nothing_is_known(model: str) -> None:
    walk = Walk(model)
    topics = {"~/keypoints", "~/pose", "~/relative_pose", "~/detections_3d", TF_TOPIC}
    bytes_of, settings = KeypointBytes(), walk.pipeline.settings
    for _ in range(3):
        answer = walk.look(0.0)
        said = dict(answer_messages(answer, settings, topics, True))
        (instance,) = said["~/keypoints"].instances
        assert math.isnan(instance.orientation_score)
        packed = bytes_of.of(answer)
        if isinstance(packed, bytes):
            packed = deserialize_message(packed, Keypoints3DArray)
        assert serialize_message(packed) == serialize_message(said["~/keypoints"])
    (layout,) = layouts(walk.pipeline.categories, Time())
    assert layout.symmetry == walk.symmetry

    detection = said["~/detections_3d"].detections[0].results[0].pose
    for told in (said["~/pose"].pose, said["~/relative_pose"].pose, detection):
        q = told.pose.orientation
        axis = np.array([2 * (q.x * q.z + q.w * q.y), 2 * (q.y * q.z - q.w * q.x),
                         1 - 2 * (q.x**2 + q.y**2)])  # fmt: skip
        turns = np.reshape(told.covariance, (6, 6))[3:, 3:]
        variance = axis @ turns @ axis
        assert np.linalg.eigvalsh(turns)[1] < 0.1  # about the other axes it is known
        if walk.symmetry == "full":
            assert variance == pytest.approx(UNKNOWN_VARIANCE)
        else:
            assert variance < 0.1
