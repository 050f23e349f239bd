"""The demonstration: its world, its yardstick, and the whole of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from std_msgs.msg import Header

from kp3d_core.geometry.camera import project
from kp3d_core.inference import shipped_models
from kp3d_ros.demo import scene
from kp3d_ros.demo.film import Film, shot
from kp3d_ros.demo.measure import evaluate, summarize
from kp3d_ros.demo.stream import Recording
from kp3d_ros.messages import pose_message, transform_message
from kp3d_ros.msg import Keypoints3DArray

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
from tiny_model import write_tiny_model  # noqa: E402

SEED = 30_000_001


@pytest.fixture(scope="module")
def film() -> Film:
    """One loop in 24 images."""
    return shot(SEED, 24, 24 / scene.LOOP_S, "studio")


def test_car_turns_all_the_way_round_and_stays_in_the_image(film: Film) -> None:
    poses = np.array(film.T_camera_object)
    positions = -np.einsum("nji,nj->ni", poses[:, :3, :3], poses[:, :3, 3])  # of the camera
    azimuth_deg = np.degrees(np.unwrap(np.arctan2(positions[:, 1], positions[:, 0])))
    boxes = np.array(film.boxes)

    assert abs(azimuth_deg[-1] - azimuth_deg[0]) > 330
    assert boxes[:, :2].min() > 0
    assert (boxes[:, 0] + boxes[:, 2]).max() < scene.WIDTH
    assert (boxes[:, 1] + boxes[:, 3]).max() < scene.HEIGHT
    np.testing.assert_allclose(np.linalg.det(poses[:, :3, :3]), 1)


def test_truth_is_where_the_pixels_are(film: Film) -> None:
    for index in range(len(film)):
        x, y, width, height = film.boxes[index]
        origin = film.T_camera_object[index][None, :3, 3]
        u, v = project(origin, scene.camera_intrinsics())[0]

        # The origin is the middle of the car's box. Perspective shows the near half larger, and a
        # car does not fill the upper corners of its box.
        assert abs(u - (x + width / 2)) < 0.1 * width
        assert abs(v - (y + height / 2)) < 0.25 * height
        changed = np.abs(film.image(index).astype(int) - film.background).max(axis=2) > 60
        assert changed[y : y + height, x : x + width].any()


def test_gravity_points_down_in_the_image() -> None:
    gravity = scene.gravity_in_camera()

    assert np.linalg.norm(gravity) == pytest.approx(1)
    assert gravity[0] == pytest.approx(0)
    pitch_deg = np.degrees(np.arctan2(gravity[2], gravity[1]))
    assert pitch_deg == pytest.approx(scene.CAMERA_PITCH_DEG)


def test_unknown_background() -> None:
    with pytest.raises(ValueError, match="background must be one of studio, black, got 'beach'"):
        scene.make_studio("beach")


def recorded(film: Film, R_error: np.ndarray, T_reference_error: np.ndarray) -> Recording:
    """What a node would answer whose absolute poses and whose reference are wrong by this."""
    recording = Recording()
    covariance = np.eye(6)
    T_reference = film.T_camera_object[0] @ T_reference_error
    for index, T in enumerate(film.T_camera_object):
        stamp = (index + 1) * 10**8
        header = Header(frame_id="camera")
        header.stamp.nanosec, header.stamp.sec = stamp % 10**9, stamp // 10**9
        recording.sent[stamp] = index
        recording.received[stamp] = stamp + (index + 1) * 10**6
        recording.keypoints[stamp] = Keypoints3DArray(header=header)
        T_wrong = T.copy()
        T_wrong[:3, :3] = T[:3, :3] @ R_error
        T_wrong[:3, 3] *= 1.02
        recording.poses[stamp] = pose_message(header, T_wrong, covariance)
        motion = T @ np.linalg.inv(film.T_camera_object[0])  # in the camera frame
        recording.transforms[stamp] = _tf(header, T_reference, motion)
    return recording


def _tf(header: Header, T_reference: np.ndarray, motion: np.ndarray):  # noqa: ANN202
    from tf2_msgs.msg import TFMessage

    T_reference_object = np.linalg.inv(T_reference) @ motion @ T_reference
    return TFMessage(
        transforms=[
            transform_message(header, "car_reference", T_reference),
            transform_message(Header(frame_id="car_reference"), "car", T_reference_object),
        ]
    )


def test_errors_are_measured(film: Film) -> None:
    R_error = cv2.Rodrigues(np.radians([0.0, 0.0, 7.0]))[0]
    wrong_reference = np.eye(4)
    wrong_reference[:3, :3] = cv2.Rodrigues(np.radians([0.0, 20.0, 0.0]))[0]
    recording = recorded(film, R_error, wrong_reference)

    results = evaluate(recording, film)
    summary = summarize(recording, results)

    # The motion is exact although the reference pose, in whose frame it is told, is not.
    assert summary["relative_rotation_deg"]["p90"] == pytest.approx(0, abs=0.01)
    assert summary["absolute_rotation_deg"] == {"median": 7.0, "p90": 7.0}
    assert summary["translation_error_percent"] == {"median": 2.0}
    assert summary["frames_in"] == summary["frames_processed"] == len(film)
    assert summary["latency_ms"]["p50"] == pytest.approx(12.5)
    assert summary["rate_hz"] == pytest.approx(1 / 0.101, abs=0.01)


def test_nothing_received(film: Film) -> None:
    recording = Recording(sent={1: 0})

    assert evaluate(recording, film) == []
    summary = summarize(recording, [])
    assert summary["rate_hz"] is None
    assert summary["latency_ms"] == {"p50": None, "p99": None}


def run_demo(output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kp3d_ros.demo", "--output", str(output), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_no_pose_is_a_failure(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.onnx")  # sees coloured discs, not cars

    result = run_demo(tmp_path, "--model", str(model), "--duration", "1", "--rate", "5")

    assert result.returncode == 1
    text = " ".join(result.stdout.split())
    assert "The demo failed. No pose came: 5 images were sent, 5 processed." in text
    assert json.loads((tmp_path / "summary.json").read_text())["frames_with_pose"] == 0


def test_missing_model_is_named(tmp_path: Path) -> None:
    result = run_demo(tmp_path, "--model", "nothing", "--duration", "1", "--rate", "5")

    assert result.returncode == 1
    assert "The detector node ended with status 1" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.skipif("car" not in shipped_models(), reason="the car model is not built yet")
def test_shipped_car_model(tmp_path: Path) -> None:
    result = run_demo(tmp_path, "--duration", "3", "--rate", "15")

    assert result.returncode == 0, result.stdout
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["frames_in"] == 45
    # How many and how fast is for the whole demo to say: a busy machine drops images.
    assert summary["frames_with_pose"] >= 10
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"]
    # Loose: three seconds of one car. The numbers that count are those of the whole demo.
    assert summary["relative_rotation_deg"]["median"] < 15
    assert summary["absolute_rotation_deg"]["median"] < 25
    assert summary["engine"].startswith("onnxruntime")
    assert set(summary["versions"]) >= {"python", "rclpy", "rmw", "kp3d", "numpy", "model"}
    assert (tmp_path / "overlay.png").stat().st_size > 10_000
    assert 10_000 < (tmp_path / "demo.gif").stat().st_size < 5_000_000
