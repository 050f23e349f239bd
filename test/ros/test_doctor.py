"""`kp3d doctor`: what it says of this machine, of the middleware, and of a running system."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import typer
from builtin_interfaces.msg import Time
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from typer.testing import CliRunner
from vision_msgs.msg import Detection2D, Detection2DArray

import kp3d_ros
from kp3d_ros.doctor import machine, middleware
from kp3d_ros.doctor.command import doctor
from kp3d_ros.doctor.finding import Finding, State
from kp3d_ros.doctor.graph import observe
from kp3d_ros.doctor.leftovers import _is_left, leftovers
from kp3d_ros.doctor.messages import check

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import CAMERA, NodeProcess, image_message, open_client  # noqa: E402
from tiny_model import write_tiny_model  # noqa: E402

NOW = Header(stamp=Time(sec=100), frame_id="camera")
BLACK = np.zeros((480, 640, 3), np.uint8)


def by_name(findings: Any) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


def test_without_ros_it_tells_of_engines_and_models(tmp_path: Path) -> None:
    damaged = write_tiny_model(tmp_path / "damaged.onnx")
    damaged.write_bytes(damaged.read_bytes()[:1000])
    # What is None there cannot be imported.
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['rclpy', 'torch', 'typer', 'rich'])); "
        "from kp3d_ros.doctor.__main__ import main; sys.exit(main())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "-m", str(damaged)],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert result.returncode == 1, result.stderr  # the damaged file
    lines = result.stdout.splitlines()
    assert "      ok onnxruntime on cpu: can be used" in lines
    assert any(line.startswith("      ok car: version ") for line in lines)
    assert any(line.startswith(f" problem {damaged}: Model file ") for line in lines)
    assert any("note rclpy: cannot be imported" in line for line in lines)
    assert "Middleware" not in lines
    assert lines[-1] == "1 problem."


def test_command_of_kp3d(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(doctor)

    result = CliRunner().invoke(app, ["--seconds", "0", "--model", str(tmp_path / "none.onnx")])

    assert result.exit_code == 1
    assert "none.onnx (no such file)" in result.output
    assert "Topics" not in result.output.splitlines()


def test_engines_are_all_named() -> None:
    found = by_name(machine.engines())

    assert {"onnxruntime on cpu", "openvino on cpu", "tensorrt on cuda"} <= found.keys()
    assert found["onnxruntime on cpu"].state is State.OK
    assert all(f.text for f in found.values() if f.state is not State.OK)


def test_middleware_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    variable = middleware.profiles_variable()
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    monkeypatch.delenv(variable, raising=False)

    found = by_name(middleware.middleware())
    assert found["ROS_DOMAIN_ID"].text.startswith("42; ")
    if variable in found:  # Fast DDS
        assert found[variable].state is State.NOTE
        assert found[variable].advice.endswith(f"export {variable}={middleware.profiles_file()}")

    monkeypatch.setenv(variable, str(tmp_path / "none.xml"))
    found = by_name(middleware.middleware())
    if variable in found:
        assert found[variable].text == f"{tmp_path / 'none.xml'} is no file"


def test_settings_of_fast_dds_are_found_where_they_are_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = middleware.profiles_file()
    assert ours == Path(__file__).parents[2] / "config" / "fastdds.xml"

    # As pip installs it, and then as colcon does.
    monkeypatch.setattr(kp3d_ros, "__file__", str(tmp_path / "site/kp3d_ros/__init__.py"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    assert middleware.profiles_file() is None
    monkeypatch.delenv(middleware.profiles_variable(), raising=False)
    advice = [f.advice for f in middleware.middleware() if "DEFAULT_PROFILES" in f.what]
    assert all("config/fastdds.xml of kp3d's repository" in text for text in advice)

    index = tmp_path / "share/ament_index/resource_index/packages/kp3d_ros"
    installed = tmp_path / "share/kp3d_ros/config/fastdds.xml"
    for file in (index, installed):
        file.parent.mkdir(parents=True)
        file.touch()
    assert middleware.profiles_file() == installed


def detections(size: float) -> Detection2DArray:
    detection = Detection2D()
    detection.bbox.size_x = detection.bbox.size_y = size
    return Detection2DArray(header=NOW, detections=[detection])


@pytest.mark.parametrize(
    ("message", "facts", "fault"),
    [
        (image_message(BLACK), "640 x 480, rgb8, frame 'camera_optical_frame', no stamp", ""),
        (CameraInfo(header=NOW, width=640, height=480, k=CAMERA.K.ravel()),
         "640 x 480, no distortion, frame 'camera', stamped now", ""),
        (CameraInfo(header=NOW, width=640, height=480), "frame 'camera', stamped now",
         "CameraInfo is uncalibrated"),
        (Image(header=NOW, encoding="jpeg", width=2, height=2), "stamped now",
         "Image encoding 'jpeg' is not supported"),
        (CompressedImage(header=NOW, format="jpeg"), "stamped now", "must"),
        (detections(50.0), "1 box of classes (none), frame 'camera', stamped now", ""),
        (detections(0.5), "stamped now", "looks like fractions of the image"),
    ],
)  # fmt: skip
def test_messages_are_checked(message: Any, facts: str, fault: str) -> None:
    found = check(message, 100.5)

    assert facts in found[0]
    assert fault in found[1]
    assert bool(found[1]) == bool(fault)


def test_stamps_of_another_clock_are_told() -> None:
    info = CameraInfo(header=NOW, width=640, height=480, k=CAMERA.K.ravel())

    assert "60 s old (another clock, or a recording: use_sim_time)" in check(info, 160.0)[0]
    assert "40 s in the future" in check(info, 60.0)[0]


@pytest.fixture
def camera() -> Iterator[None]:
    """Images and, on a topic of another name, calibrations, at about 20 Hz."""
    stop = Event()
    with open_client(wait=False) as client:
        node = client.node
        images = node.create_publisher(Image, "/cam/image_raw", qos_profile_sensor_data)
        infos = node.create_publisher(CameraInfo, "/cam/camera_info", 1)
        message = image_message(BLACK)

        def publish() -> None:
            while not stop.wait(0.05):
                message.header.stamp = node.get_clock().now().to_msg()
                images.publish(message)
                infos.publish(CameraInfo(header=message.header, width=640, height=480))

        thread = Thread(target=publish)
        thread.start()
        client.stop_listening()
        yield
        stop.set()
        thread.join()


def test_calibration_that_is_sent_once_is_read_and_named() -> None:
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    with open_client(wait=False) as client:
        topics = {"/good": CAMERA.K.ravel(), "/bad": np.zeros(9)}
        publishers = {t: client.node.create_publisher(CameraInfo, t, latched) for t in topics}
        for topic, k in topics.items():
            publishers[topic].publish(CameraInfo(header=NOW, width=640, height=480, k=k))
        with observe(1.5) as graph:
            found = by_name(graph.topics())

    assert found["/good"].state is State.NOTE
    assert "640 x 480, no distortion" in found["/good"].text
    assert "sent once, and kept for those who ask for it" in found["/good"].text
    assert found["/good"].advice.startswith("Set qos_overrides./good.subscription of the node:")
    assert found["/bad"].state is State.PROBLEM
    assert found["/bad"].advice.startswith("CameraInfo is uncalibrated")


def test_topics_and_nodes_of_a_running_system(camera: None, tmp_path: Path) -> None:
    with observe(1.5) as graph:
        topics, nodes = by_name(graph.topics()), by_name(graph.nodes())

    image = topics["/cam/image_raw"]
    assert image.state is State.OK
    assert image.text.startswith("sensor_msgs/msg/Image, ")
    assert "Hz, from /client (best_effort, volatile); 640 x 480, rgb8, frame '" in image.text
    assert float(image.text.split(", ")[1].split()[0]) > 2  # 20, on a machine that is not busy
    assert topics["/cam/camera_info"].state is State.PROBLEM
    assert topics["/cam/camera_info"].advice.startswith("CameraInfo is uncalibrated")
    assert nodes["nodes"].advice == (
        "ros2 launch kp3d_ros detector.launch.py image:=/cam/image_raw "
        "camera_info:=/cam/camera_info"
    )

    model = write_tiny_model(tmp_path / "tiny.onnx")
    node = NodeProcess(tmp_path / "log", model=model, object_size=0.6, threads=1)
    node.wait_for("Idle: nobody listens")
    with observe(3.0) as graph:
        told = by_name(graph.nodes())["/detector"]

    # Looking at it has not woken it up.
    assert told.text.startswith("Idle: nobody listens to the results, so /image is not even")
    assert "images received at 0.0 Hz, processed at 0.0 Hz" in told.text
    assert "Waiting for images" not in node.log()
    assert node.stop() == 0


def test_shared_memory_of_killed_processes_is_counted() -> None:
    """Of the real Fast DDS: its locks go with the process, its segments stay."""
    code = (
        "import re, rclpy, sys; rclpy.init(); node = rclpy.create_node('short'); "
        "maps = open('/proc/self/maps').read(); "
        "print(*set(re.findall(r'/dev/shm/fastdds_[0-9a-f]{16}', maps)), flush=True); "
        "sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    segments = [Path(name) for name in process.stdout.readline().split()]
    try:
        if not segments:
            pytest.skip("this middleware is not Fast DDS")
        assert not any(map(_is_left, segments))
    finally:
        process.kill()
        process.communicate()
    assert all(map(_is_left, segments))
    (finding,) = leftovers(Path("/dev/shm"))
    assert finding.state is State.NOTE
    assert int(finding.text.split()[0]) >= len(segments)
    assert finding.advice.startswith("fastdds shm clean")
    for segment in segments:
        for path in segment.parent.glob(f"{segment.name}*"):
            path.unlink()
    assert not any(map(_is_left, segments))


def test_where_nothing_is_left_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "fastdds_0123456789abcdef").touch()  # no lock beside it: being made
    (tmp_path / "fastdds_port7411").touch()
    (tmp_path / "fastdds_port7411_el").touch()

    assert list(leftovers(tmp_path)) == []
