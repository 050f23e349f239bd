"""What the demonstration's viewer shows: recorded to a file and read back."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from tf2_msgs.msg import TFMessage

from kp3d_core.geometry.rotation import invert_transform
from kp3d_ros.demo import scene
from kp3d_ros.demo.film import Film, shot
from kp3d_ros.demo.stream import CAMERA_FRAME, Recording
from kp3d_ros.messages import pose_message, transform_message
from kp3d_ros.msg import Keypoint3D, KeypointLayout, Keypoints3D, Keypoints3DArray

rr = pytest.importorskip("rerun", reason="rerun-sdk is not installed")

NAMES = ("front", "left", "right", "roof")
POINTS = np.array([[0.3, 0, 0], [0, 0.1, 0], [0, -0.1, 0], [0, 0, 0.1]])
STDS = np.array([0.01, 0.02, 0.03])
FRAMES, FOUND = 4, (0, 1, 3)
"""In image 2 the object is not found."""


@pytest.fixture(scope="module")
def chunks(tmp_path_factory):
    """Entity path -> columns of a recording of four images, as Rerun reads them."""
    from kp3d_ros.demo.viewer import Viewer

    path = tmp_path_factory.mktemp("viewer") / "folder" / "demo.rrd"
    film = shot(30_000_001, FRAMES, 1.0, "black")
    text = Viewer(path).show(film, answers(film))
    assert text == f"Wrote {path}: rerun {path} shows it."
    reader = rr.chunk.RrdReader(path)
    assert len(reader.recordings()) == len(reader.blueprints()) == 1
    return list(reader.stream())


def answers(film: Film) -> Recording:
    recording = Recording()
    recording.layout = KeypointLayout(
        names=list(NAMES),
        edges=[0, 1, 0, 2, 0, 3],
        colors=[ColorRGBA(r=i / 4, g=0.5, b=0.0, a=1.0) for i in range(4)],
    )
    for index, T in enumerate(film.T_camera_object):
        header = Header(frame_id=CAMERA_FRAME)
        header.stamp.sec = index + 1
        stamp = (index + 1) * 10**9
        recording.sent[stamp] = index
        found = index in FOUND
        message = Keypoints3DArray(header=header, instances=[instance(T)] if found else [])
        recording.keypoints[stamp] = message
        if found:
            recording.poses[stamp] = pose_message(header, T, np.eye(6) * 1e-4)
            T_reference = film.T_camera_object[0]
            in_reference = Header(frame_id="car_reference", stamp=header.stamp)
            motion = invert_transform(T_reference) @ T
            recording.relative_poses[stamp] = pose_message(in_reference, motion, np.eye(6))
            recording.transforms[stamp] = TFMessage(
                transforms=[
                    transform_message(header, "car_reference", T_reference),
                    transform_message(in_reference, "car", motion),
                ]
            )
    return recording


def instance(T: np.ndarray) -> Keypoints3D:
    keypoints = []
    for i, point in enumerate(POINTS @ T[:3, :3].T + T[:3, 3]):
        x, y, z = point.tolist()
        u, v = (scene.camera_intrinsics() @ point)[:2] / z
        covariance = np.diag(STDS**2).ravel()
        position = Point(x=x, y=y, z=z)
        keypoints.append(Keypoint3D(id=i, position=position, covariance=covariance, u=u, v=v))
    return Keypoints3D(instance_id="car", metric=True, model_unit_m=0.3, keypoints=keypoints)


def values(chunks, path: str, column: str) -> list:
    """Rows of a column of an entity in the order of time, without those that do not set it."""
    rows = []
    for chunk in chunks:
        if chunk.entity_path == f"/{CAMERA_FRAME}/{path}" and not chunk.is_static:
            table = chunk.to_record_batch()
            names = [name for name in table.schema.names if name.endswith(column)]
            times = table.column("image stamp").to_pylist()
            for name in names:
                rows += list(zip(times, table.column(name).to_pylist(), strict=True))
    return [np.array(value) for _, value in sorted(rows, key=lambda row: row[0]) if value]


def test_every_image_and_every_answer_is_there(chunks):
    rows = Counter()
    for chunk in chunks:
        if not chunk.is_static and chunk.entity_path.startswith(f"/{CAMERA_FRAME}"):
            rows[chunk.entity_path.removeprefix(f"/{CAMERA_FRAME}/")] += chunk.num_rows

    assert rows["image"] == FRAMES
    for path in (
        "image/car/keypoints",
        "image/car/skeleton",
        "keypoints/car/keypoints",
        "keypoints/car/skeleton",
        "keypoints/car/covariance",
        "pose_covariance",
    ):
        assert len([v for v in values(chunks, path, ":colors")]) == len(FOUND), path
    for path in ("pose", "tf/car_reference", "tf/car_reference/car"):
        assert len(values(chunks, path, ":translation")) == len(FOUND), path
    assert len(values(chunks, "tf/car_reference/relative_pose", ":translation")) == len(FOUND)


def test_keypoints_and_skeleton_are_those_of_the_messages(chunks):
    film = shot(30_000_001, FRAMES, 1.0, "black")
    in_space = values(chunks, "keypoints/car/keypoints", "Points3D:positions")
    in_image = values(chunks, "image/car/keypoints", "Points2D:positions")
    strips = values(chunks, "keypoints/car/skeleton", "LineStrips3D:strips")
    assert len(in_space) == len(FOUND)
    for index, points, uv, edges in zip(FOUND, in_space, in_image, strips, strict=True):
        T = film.T_camera_object[index]
        expected = POINTS @ T[:3, :3].T + T[:3, 3]
        np.testing.assert_allclose(points, expected, atol=1e-6)  # single precision
        np.testing.assert_allclose(edges, expected[[[0, 1], [0, 2], [0, 3]]], atol=1e-6)
        projected = expected @ scene.camera_intrinsics().T
        np.testing.assert_allclose(uv, projected[:, :2] / projected[:, 2:], atol=1e-4)


def test_ellipsoids_have_the_standard_deviations_as_half_axes(chunks):
    (half_sizes, *_) = values(chunks, "keypoints/car/covariance", "Ellipsoids3D:half_sizes")
    assert half_sizes.shape == (len(NAMES), 3)
    np.testing.assert_allclose(np.sort(half_sizes, axis=1), [STDS] * len(NAMES), rtol=1e-5)


def test_lost_objects_are_taken_away(chunks):
    cleared = [
        chunk.entity_path.removeprefix(f"/{CAMERA_FRAME}/")
        for chunk in chunks
        if any("Clear" in name for name in chunk.to_record_batch().schema.names)
    ]
    assert sorted(cleared) == ["image/car", "keypoints/car", "pose", "pose_covariance", "tf"]


def test_missing_package_is_named_before_anything_is_computed(tmp_path: Path):
    (tmp_path / "rerun.py").write_text("raise ImportError('No module named rerun')")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from kp3d_ros.demo.command import demo"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}; demo()", str(tmp_path),
         "--viewer", "rerun", "--output", str(tmp_path / "demo")],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert result.returncode == 1
    text = " ".join(result.stdout.split())
    assert "needs the package rerun-sdk (No module named rerun): pip install 'kp3d[viewer]'" in text
    assert not (tmp_path / "demo").exists()
