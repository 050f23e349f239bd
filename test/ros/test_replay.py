"""Bags without ROS: the same numbers as the pipeline of the node, in a bag that others can read."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo

from kp3d_core.files import sha256_of
from kp3d_core.geometry.rotation import rotation_angle
from kp3d_core.inference import CameraModel
from kp3d_ros.categories import create_categories
from kp3d_ros.demo.measure import pose_matrix
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import CAMERA, UNIT_M, image_message, pose  # noqa: E402
from tiny_model import CANONICAL, draw_scene, write_tiny_model  # noqa: E402

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


def header(types: Any, stamp_ns: int) -> Any:
    stamp = types.types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
    return types.types["std_msgs/msg/Header"](stamp, "camera_optical_frame")


def info_of(types: Any, stamp_ns: int, K: np.ndarray, width: int = 640, height: int = 480) -> Any:
    t = types.types
    roi = t["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    return t["sensor_msgs/msg/CameraInfo"](
        header(types, stamp_ns), height, width, "plumb_bob", np.zeros(5), K.ravel(),
        np.eye(3).ravel(), np.zeros(12), 0, 0, roi,
    )  # fmt: skip


def image_of(types: Any, stamp_ns: int, rgb: np.ndarray, encoding: str = "rgb8") -> Any:
    height, width = rgb.shape[:2]
    return types.types["sensor_msgs/msg/Image"](
        header(types, stamp_ns), height, width, encoding, 0, 3 * width, rgb.reshape(-1)
    )


START_NS, PERIOD_NS = 1_000_000_000, 100_000_000
STAMPS_NS = [START_NS + i * PERIOD_NS for i in range(4)]
INFO, IMAGE_TOPIC = "/cam/camera_info", "/cam/image_raw"
STRANGE = "their_msgs/msg/Load"
"""A type that nobody here knows."""


def write_messages(path: Path, plugin: str, messages: list[Any], *, crystal: bool = False) -> None:
    """Write (topic, time [ns], message) in the order of time.

    Args:
        path: folder to make.
        plugin: SQLITE3 or MCAP.
        messages: bytes of the type STRANGE, or messages.
        crystal: name types as ROS 2 Crystal did.
    """
    types = store()
    connections: dict[str, Any] = {}
    with rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin[plugin]) as writer:
        for topic, time_ns, message in sorted(messages, key=lambda item: item[1]):
            kind = STRANGE if isinstance(message, bytes) else message.__msgtype__
            if topic not in connections:
                if kind == STRANGE:
                    known = {"msgdef": "uint8[] weights\n", "rihs01": f"RIHS01_{64 * 'a'}"}
                else:
                    definition, _ = types.generate_msgdef(kind, ros_version=2)
                    known = {"msgdef": definition, "rihs01": types.hash_rihs01(kind)}
                name = kind.replace("/msg/", "/") if crystal else kind
                connections[topic] = writer.add_connection(topic, name, **known)
            raw = message if kind == STRANGE else types.serialize_cdr(message, kind)
            writer.write(connections[topic], time_ns, raw)


def four_images() -> list[Any]:
    """One calibration and four images, 0.1 s apart."""
    types = store()
    return [
        (INFO, START_NS, info_of(types, START_NS, CAMERA.K)),
        *(
            (IMAGE_TOPIC, stamp + 1, image_of(types, stamp, rgb))
            for stamp, rgb in zip(STAMPS_NS, IMAGES, strict=True)
        ),
    ]


def write_bag(path: Path, plugin: str) -> None:
    """One calibration and four images, and a message of a strange type."""
    write_messages(path, plugin, [*four_images(), ("/load", START_NS + 5, b"\0\1\0\0strange")])


def as_humble_writes_it(path: Path) -> None:
    """Take what a sqlite3 bag of ROS 2 Humble does not have: definitions and digests."""
    (file,) = path.glob("*.db3")
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DROP TABLE message_definitions")
        connection.execute("ALTER TABLE topics DROP COLUMN type_description_hash")
        connection.execute("UPDATE schema SET schema_version = 3")
    metadata = path / "metadata.yaml"
    content = yaml.safe_load(metadata.read_text())
    for topic in content["rosbag2_bagfile_information"]["topics_with_message_count"]:
        del topic["topic_metadata"]["type_description_hash"]
    metadata.write_text(yaml.safe_dump(content))


def contents(path: Path) -> dict[str, str]:
    """Digest of every file below a folder."""
    return {
        str(file.relative_to(path)): sha256_of(file)
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kp3d_ros.replay", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=250)


def words(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join(done.stderr.split())


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
    if plugin == "SQLITE3":
        as_humble_writes_it(tmp_path / "in")

    done = run(
        tmp_path / "in", "-o", tmp_path / "out", "--model", model, "--object-size", 2 * UNIT_M,
        "-p", "threads=1", "--with-input",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "Found 4 objects in 4 images" in words(done)
    settings = Settings(model=model, object_size=2 * UNIT_M, threads=1)
    pipeline = Pipeline(create_categories(settings), settings, None)
    pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))
    got = read(tmp_path / "out")
    assert len(got["/cam/image_raw"]) == len(got["/tf"]) == len(got["/detector/markers"]) == 4
    assert len(got["/detector/detections_3d"]) == 4
    assert [bytes(raw) for raw in got["/load"]] == [b"\0\1\0\0strange"]
    told = "/load (their_msgs/msg/Load). Programs that read it need the package" in words(done)
    assert told == (plugin == "SQLITE3")
    assert list((tmp_path / "out").glob("*.mcap" if plugin == "MCAP" else "*.db3"))
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


def test_each_image_gets_its_own_calibration(tmp_path: Path, model: str) -> None:
    """CameraInfo after its image, a zoom, another size; types named as ROS 2 Crystal did."""
    types = store()
    near = CameraModel(CAMERA.K * [[1.5, 1, 1], [1, 1.5, 1], [1, 1, 1]], 640, 480)
    small = CameraModel(CAMERA.K / [[2, 1, 2], [1, 2, 2], [1, 1, 1]], 320, 240)
    cameras = [CAMERA, CAMERA, near, small]
    images = [draw_scene(c, T, UNIT_M) for c, T in zip(cameras, POSES, strict=True)]
    messages = []
    for stamp, camera, rgb in zip(STAMPS_NS, cameras, images, strict=True):
        info = info_of(types, stamp, camera.K, camera.width, camera.height)
        messages += [(IMAGE_TOPIC, stamp, image_of(types, stamp, rgb)), (INFO, stamp + 10**6, info)]
    bad = [image_of(types, STAMPS_NS[3] + i, images[0], "nonsense") for i in (1, 2)]
    messages += [(IMAGE_TOPIC, STAMPS_NS[3] + i, image) for i, image in enumerate(bad, start=1)]
    write_messages(tmp_path / "in", "SQLITE3", messages, crystal=True)

    done = run(
        tmp_path / "in", "-o", tmp_path / "out", "--model", model, "--object-size", 2 * UNIT_M,
        "-p", "threads=1",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "Found 4 objects in 4 images" in words(done)
    assert "2 of 6 images got no answer: 2 x " in words(done)
    assert "'nonsense'" in words(done)
    assert "Recorded at 1.300000001, 1.300000002 s." in words(done)
    found = read(tmp_path / "out")["/detector/pose"]
    for message, T in zip(found, POSES, strict=True):
        np.testing.assert_allclose(pose_matrix(message.pose.pose)[:3, 3], T[:3, 3], atol=0.02)


def test_an_image_gets_the_depth_image_of_its_stamp_that_comes_after_it(
    tmp_path: Path, model: str
) -> None:
    types = store()
    depths = []
    for stamp, T in zip(STAMPS_NS, POSES, strict=True):
        points = CANONICAL * UNIT_M @ T[:3, :3].T + T[:3, 3]
        depth_mm = np.full((480, 640), 20_000, np.uint16)
        for (u, v), z in zip(CAMERA.project(points), points[:, 2], strict=True):
            depth_mm[int(v) - 2 : int(v) + 4, int(u) - 2 : int(u) + 4] = round(1000 * z)
        message = types.types["sensor_msgs/msg/Image"](
            header(types, stamp), 480, 640, "16UC1", 0, 1280, depth_mm.view(np.uint8).reshape(-1)
        )
        depths.append(("/cam/depth", stamp + 15_000_000, message))
    write_messages(tmp_path / "in", "MCAP", [*four_images(), *depths])

    done = run(
        tmp_path / "in", "-o", tmp_path / "out", "--model", model, "--depth", "/cam/depth",
        "--image", IMAGE_TOPIC, "-p", "threads=1", "--with-input",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "No depth image" not in words(done)
    got = read(tmp_path / "out")
    assert len(got["/cam/depth"]) == 4
    assert [pose.header.stamp.nanosec for pose in got["/detector/pose"]] == [
        stamp % 10**9 for stamp in STAMPS_NS
    ]  # in metres: by the depth images


def test_names_of_nodes() -> None:
    from kp3d_ros.replay.topics import full_node_name

    for name in ("detector", "/detector"):
        assert full_node_name(name) == "/detector"
    assert full_node_name("/left/cam_2/_detector") == "/left/cam_2/_detector"
    for name in ("", "/", "my node", "a//b", "/a/", "2nd", "a-b", "~/a", "a__b", "Küche", "a\n"):
        with pytest.raises(ValueError, match="node must be a ROS name: .* For example /camera/"):
            full_node_name(name)


def test_a_bag_is_replaced_when_the_new_one_is_whole(tmp_path: Path, model: str) -> None:
    types = store()
    write_bag(tmp_path / "in", "MCAP")
    uncalibrated = (INFO, START_NS, info_of(types, START_NS, np.zeros((3, 3))))
    write_messages(tmp_path / "bad", "MCAP", [uncalibrated, *four_images()[1:]])
    write_messages(tmp_path / "out", "SQLITE3", [("/load", 1, b"old")])
    old = contents(tmp_path / "out")
    options = "-o", tmp_path / "out", "--overwrite", "--model", model

    failed = run(tmp_path / "bad", *options)
    assert failed.returncode == 1
    assert "No image got an answer: 4 x CameraInfo is uncalibrated" in words(failed)
    assert contents(tmp_path / "out") == old

    done = run(tmp_path / "in", *options)
    assert done.returncode == 0, done.stderr
    assert not contents(tmp_path / "out").keys() & (old.keys() - {"metadata.yaml"})
    assert len(read(tmp_path / "out")["/detector/keypoints"]) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad", "in", "out"]


def test_mistakes_are_explained_and_nothing_is_lost(tmp_path: Path, model: str) -> None:
    write_bag(tmp_path / "in", "MCAP")
    write_messages(tmp_path / "silent", "MCAP", four_images()[1:])
    before = contents(tmp_path)

    def complaint(source: str, output: str, *arguments: Any) -> str:
        done = run(tmp_path / source, "-o", tmp_path / output, "--model", model, *arguments)
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert contents(tmp_path) == before
        return words(done)

    missing = complaint("in", "a", "--image", "/other")
    assert "Topic /other must be in the bag, it holds /cam/camera_info" in missing
    wrong = complaint("in", "a", "--image", INFO)
    assert "/cam/camera_info must be of type sensor_msgs/msg/Image or" in wrong
    assert "must hold one topic of type sensor_msgs/msg/CameraInfo" in complaint("silent", "a")
    assert "'max_wrog' does not exist, did you mean 'max_wrong'?" in complaint(
        "in", "c", "-p", "max_wrog=0.5"
    )
    assert "node must be a ROS name" in complaint("in", "a", "--node", "my node")
    # The recording itself, and another one if the name is misspelt.
    assert "must be another folder than the recording" in complaint("in", "in", "--overwrite")
    assert "must be a rosbag2 bag, and it does not exist" in complaint("im", "in", "--overwrite")


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        ("max_wrong=0.3", "The most likely one of 'tiny' had score"),
        ("detections_required=true", "'detections_required' is set, and no image had a detection"),
    ],
)
def test_why_nothing_is_found(tmp_path: Path, model: str, parameter: str, text: str) -> None:
    black = np.zeros_like(IMAGES[0])
    images = [(IMAGE_TOPIC, ns + 1, image_of(store(), ns, black)) for ns in STAMPS_NS]
    write_messages(tmp_path / "in", "MCAP", [four_images()[0], *images])

    done = run(tmp_path / "in", "-o", tmp_path / "out", "--model", model, "-p", parameter)

    assert done.returncode == 0, done.stderr
    assert "Found 0 objects in 4 images" in words(done)
    assert text in words(done)


def test_topics_are_found_by_their_types() -> None:
    from kp3d_ros.replay.topics import COMPRESSED, DETECTIONS, IMAGE, Topics, choose_topics

    info = "sensor_msgs/msg/CameraInfo"
    one = {"/a/image/compressed": COMPRESSED, "/a/camera_info": info, "/b/camera_info": info}
    one["/boxes"] = DETECTIONS
    found = choose_topics(one, Topics("", ""))
    assert found == Topics("/a/image/compressed", "/a/camera_info", "/boxes")
    two = {"/rgb": IMAGE, "/depth": IMAGE, "/camera_info": info}
    assert choose_topics(two, Topics("", "", depth="/depth")).image == "/rgb"
    with pytest.raises(ValueError, match="it holds .*, .*Name one with --image"):
        choose_topics(two, Topics("", ""))
