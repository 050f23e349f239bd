"""`kp3d build-engine` where there is no TensorRT: it says what to do instead of a traceback."""

import importlib.util

import pytest

from kp3d_core.inference import load_model


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="TensorRT is here")
def test_without_tensorrt_it_says_what_to_install(kp3d):
    output = kp3d("build-engine", "car", code=1)
    assert "tensorrt cannot be imported" in output
    assert "install NVIDIA's TensorRT 10 or 11, then pip install 'kp3d[tensorrt]'" in output


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
def test_mistakes_are_explained(kp3d, arguments, message):
    assert message in kp3d("build-engine", *arguments, code=1)


def test_int8_without_a_file_of_it(kp3d, tmp_path):
    (tmp_path / "alone.onnx").write_bytes(load_model("car").data)
    output = kp3d("build-engine", tmp_path / "alone.onnx", "--precision", "int8", code=1)
    assert "precision int8 needs a calibrated file beside the model's" in output
