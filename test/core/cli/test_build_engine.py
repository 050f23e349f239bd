"""`kp3d build-engine` where there is no TensorRT: it says what to do instead of a traceback."""

import importlib.util

import pytest
from typer.testing import CliRunner

from kp3d_core.cli.main import app
from kp3d_core.inference import load_model


def run(*arguments):
    return CliRunner().invoke(app, ["build-engine", *arguments])


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="TensorRT is here")
def test_without_tensorrt_it_says_what_to_install():
    result = run("car")
    assert result.exit_code == 1
    assert "tensorrt cannot be imported" in result.output
    assert "install NVIDIA's TensorRT 10 or 11, then pip install 'kp3d[tensorrt]'" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lorry"], "Model must be the path of an .onnx file or a shipped model"),
        (["car", "--batch", "1;4"], "batch must be whole numbers with commas between, got '1;4'"),
        (["car", "--batch", "0"], "batches must be one or more positive sizes, got (0,)"),
        (
            ["car", "--precision", "half"],
            "precision must be auto or one of fp32, fp16, int8, got 'half'",
        ),
    ],
)
def test_mistakes_are_explained(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.output


def test_int8_without_a_file_of_it(tmp_path):
    (tmp_path / "alone.onnx").write_bytes(load_model("car").data)
    result = run(str(tmp_path / "alone.onnx"), "--precision", "int8")
    assert result.exit_code == 1
    assert "precision int8 needs a calibrated file beside the model's" in result.output
