"""Bags without ROS: the same numbers as the pipeline of the node, in a bag that others can read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo

from kp3d_core.geometry.rotation import rotation_angle
from kp3d_ros.categories import create_categories
from kp3d_ros.demo.measure import pose_matrix
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import CAMERA, UNIT_M, image_message, pose  # noqa: E402
from tiny_model import draw_scene, write_tiny_model  # noqa: E402

rosbag2 = pytest.importorskip("rosbags.rosbag2", reason="needs rosbags: make train-env")
from rosbags.typesys import Stores, get_types_from_msg, get_typestore  # noqa: E402

MSG = Path(__file__).parents[2] / "msg"
POSES = [pose(2.0 + 0.05 * i, (0.1 + 0.01 * i, 0.05, 2.0)) for i in range(4)]
IMAGES = [draw_scene(CAMERA, T, UNIT_M) for T in POSES]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def store() -> Any:
    result = get_typestore(Stores.ROS2_HUMBLE)
    types: dict[str, Any] = {}
    for file in MSG.glob("*.msg"):
        types.update(get_types_from_msg(file.read_text(), f"kp3d_ros/msg/{file.stem}"))
    result.register(types)
    return result


def write_bag(path: Path, plugin: str) -> None:
    """One calibration and four images, 0.1 s apart."""
    types = store()
    t = types.types
    stamp_type, header_type = t["builtin_interfaces/msg/Time"], t["std_msgs/msg/Header"]

    def header(i: int) -> Any:
        return header_type(stamp_type(1, 100_000_000 * i), "camera_optical_frame")

    roi = t["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    info = t["sensor_msgs/msg/CameraInfo"](
        header(0), 480, 640, "plumb_bob", np.zeros(5), CAMERA.K.ravel(), np.eye(3).ravel(),
        np.zeros(12), 0, 0, roi,
    )  # fmt: skip
    storage = rosbag2.StoragePlugin[plugin]
    with rosbag2.Writer(path, version=9, storage_plugin=storage) as writer:

        def add(topic: str, kind: str) -> Any:
            return writer.add_connection(topic, kind, typestore=types)

        infos = add("/cam/camera_info", "sensor_msgs/msg/CameraInfo")
        images = add("/cam/image_raw", "sensor_msgs/msg/Image")
        data = types.serialize_cdr(info, "sensor_msgs/msg/CameraInfo")
        writer.write(infos, 1_000_000_000, data)
        for i, rgb in enumerate(IMAGES):
            image = t["sensor_msgs/msg/Image"](
                header(i), 480, 640, "rgb8", 0, 1920, rgb.reshape(-1)
            )
            raw = types.serialize_cdr(image, "sensor_msgs/msg/Image")
            writer.write(images, 1_000_000_001 + 100_000_000 * i, raw)


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kp3d_ros.replay", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=250)


def read(path: Path) -> dict[str, list[Any]]:
    types = store()
    messages: dict[str, list[Any]] = {}
    with rosbag2.Reader(path) as reader:
        for connection, _, raw in reader.messages():
            if connection.msgtype.startswith(("kp3d", "geometry", "tf2", "visual", "sensor")):
                message = types.deserialize_cdr(raw, connection.msgtype)
                messages.setdefault(connection.topic, []).append(message)
            else:
                messages.setdefault(connection.topic, []).append(raw)
    return messages


@pytest.mark.parametrize("plugin", ["SQLITE3", "MCAP"])
def test_same_numbers_as_the_node(tmp_path: Path, model: str, plugin: str) -> None:
    write_bag(tmp_path / "in", plugin)

    done = run(
        tmp_path / "in", "-o", tmp_path / "out", "--model", model, "--object-size", 2 * UNIT_M,
        "-p", "threads=1", "--with-input",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "Found 4 objects in 4 images" in done.stderr.replace("\n", " ")
    settings = Settings(model=model, object_size=2 * UNIT_M, threads=1)
    pipeline = Pipeline(create_categories(settings), settings, None)
    pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))
    got = read(tmp_path / "out")
    assert len(got["/cam/image_raw"]) == len(got["/tf"]) == len(got["/detector/markers"]) == 4
    assert len(got["/detector/detections_3d"]) == 4
    (layout,) = got["/detector/layout"]
    assert layout.class_id == "discs"
    for i, rgb in enumerate(IMAGES):
        message = image_message(rgb)
        message.header.stamp = Time(sec=1, nanosec=100_000_000 * i)
        (found,) = pipeline.process(message).objects
        (instance,) = got["/detector/keypoints"][i].instances
        positions = [[k.position.x, k.position.y, k.position.z] for k in instance.keypoints]
        np.testing.assert_array_equal(positions, found.detection.keypoints_camera)
        T = pose_matrix(got["/detector/pose"][i].pose.pose)
        np.testing.assert_allclose(T, found.placement.T_camera_object, atol=1e-12)
        np.testing.assert_allclose(T[:3, 3], POSES[i][:3, 3], atol=0.02)
        motion = pose_matrix(got["/detector/relative_pose"][i].pose.pose)
        truth = np.linalg.inv(POSES[0]) @ POSES[i]
        assert np.rad2deg(rotation_angle(motion[:3, :3], truth[:3, :3])) < 2.0


def test_mistakes_are_explained(tmp_path: Path, model: str) -> None:
    write_bag(tmp_path / "in", "MCAP")
    (tmp_path / "there").mkdir()

    def complaint(*arguments: Any) -> str:
        done = run(*arguments, "--model", model)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return " ".join(done.stderr.split())

    missing = complaint(tmp_path / "in", "-o", tmp_path / "a", "--image", "/other")
    assert "Topic /other must be in the bag, it holds /cam/camera_info" in missing
    assert "must be a rosbag2 bag" in complaint(tmp_path / "there", "-o", tmp_path / "b")
    assert "must not exist yet" in complaint(tmp_path / "in", "-o", tmp_path / "there")
    assert "'min_scor' does not exist, did you mean 'min_score'?" in complaint(
        tmp_path / "in", "-o", tmp_path / "c", "-p", "min_scor=0.5"
    )


def test_topics_are_found_by_their_types() -> None:
    from kp3d_ros.replay.topics import COMPRESSED, DETECTIONS, IMAGE, Topics, choose_topics

    info = "sensor_msgs/msg/CameraInfo"
    one = {"/a/image/compressed": COMPRESSED, "/a/camera_info": info, "/b/camera_info": info}
    one["/boxes"] = DETECTIONS
    found = choose_topics(one, Topics("", ""))
    assert found == Topics("/a/image/compressed", "/a/camera_info", "/boxes")
    two = {"/rgb": IMAGE, "/depth": IMAGE, "/camera_info": info}
    assert choose_topics(two, Topics("", "", depth="/depth")).image == "/rgb"
    with pytest.raises(ValueError, match="it holds 2 of .*Name the topic with --image"):
        choose_topics(two, Topics("", ""))
