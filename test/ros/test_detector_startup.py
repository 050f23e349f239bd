"""How the node starts, refuses to start, and stops."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
from tiny_model import write_tiny_model  # noqa: E402


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kp3d_ros.detector_node", "--ros-args", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )


def refusal(*arguments: str) -> str:
    """What the node prints when it refuses to start."""
    process = start(*arguments)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.count("[FATAL]") == 1
    assert "Cannot start: " in output
    sentences = [line.partition("Cannot start: ")[2] for line in output.splitlines()]
    (sentence,) = filter(None, sentences)
    assert output.count(sentence[:60]) == 1  # said once, not by each layer
    assert "Traceback" not in output
    return output


def test_missing_model() -> None:
    assert "got no/such.onnx (no such file)" in refusal("-p", "model:=no/such.onnx")


def test_opencv_waits_for_no_second_thread() -> None:
    code = (
        "import cv2, kp3d_ros.detector_node as node\n"
        "node.main(['--ros-args', '-p', 'model:=no/such.onnx'])\n"
        "print('threads:', cv2.getNumThreads())"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "threads: 1" in process.stdout


def test_damaged_model(model_path: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(model_path.read_bytes()[:1000])

    assert str(damaged) in refusal("-p", f"model:={damaged}")


def test_wrong_parameters_are_all_named(model_path: Path) -> None:
    output = refusal(
        "-p", f"model:={model_path}", "-p", "object_sise:=0.5", "-p", "max_wrong:=high"
    )  # fmt: skip

    assert "'object_sise' does not exist, did you mean 'object_size'?" in output
    assert "'max_wrong' must be a number, got 'high'" in output


def test_parameter_of_ros_of_another_type(model_path: Path) -> None:
    output = refusal("-p", f"model:={model_path}", "-p", 'use_sim_time:="true"')

    assert "'use_sim_time' to 'true' of type 'STRING', expecting type 'BOOL'" in output


def test_unknown_engine(model_path: Path) -> None:
    output = refusal("-p", f"model:={model_path}", "-p", "engine:=steam")

    assert "engine must be auto or one of tensorrt, onnxruntime, openvino, got 'steam'" in output


def test_malformed_argument() -> None:
    output = refusal("-p", "model")

    assert "-p model" in output


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("detector: {ros__parameters: {gravity: [0, 0.87, 0.5]}}", "with a decimal point, or none"),
        ("detector:\n  ros_parameters:\n    object_size: 4.5", "with two underscores"),
    ],
    ids=["mixed list", "misspelt"],
)
def test_parameter_file_that_ros_cannot_read(tmp_path: Path, text: str, hint: str) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text(text)

    assert hint in refusal("--params-file", str(file))


def test_what_the_core_warns_of_is_in_the_nodes_log(tmp_path: Path) -> None:
    path = Path(write_tiny_model(tmp_path / "mine.onnx"))
    (tmp_path / "mine.int8.onnx").write_bytes(path.read_bytes()[:1000])
    process = start("-p", f"model:={path}", "-p", "engine:=onnxruntime")
    assert process.stdout is not None
    first = process.stdout.readline()
    process.terminate()
    process.communicate(timeout=20)
    assert first.startswith("[WARN]")
    assert "[detector]: " in first
    assert "mine.int8.onnx" in first


@pytest.mark.parametrize(
    "numbers",
    [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]],
    ids=["SIGINT", "SIGTERM", "SIGINT twice, as under ros2 launch"],
)
def test_stops_without_a_word(model_path: Path, numbers: list[signal.Signals]) -> None:
    # By name: "auto" has a word to say where TensorRT is installed and cannot run.
    process = start("-p", f"model:={model_path}", "-p", "engine:=onnxruntime")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]  # the last one comes when it spins
    time.sleep(0.2)  # it goes to /rosout, too

    for number in numbers:
        process.send_signal(number)
        time.sleep(0.05)
    rest, _ = process.communicate(timeout=20)

    assert "Model tiny 1.0 (discs, 6 keypoints) on onnxruntime" in lines[0]
    assert "How often 'tiny' is wrong was not measured" in lines[1]
    # Without a size the user is told what that means.
    assert "Parameter 'object_size' is 0: positions are known up to scale only" in lines[2]
    # It does not claim to wait for images while it does not even subscribe.
    assert "Idle: nobody listens to the results, so /image is not even subscribed to" in lines[3]
    assert rest == ""
    assert process.returncode == 0
