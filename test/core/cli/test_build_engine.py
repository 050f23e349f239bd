"""`kp3d build-engine` without a GPU: engines for other machines, or what to do instead."""

import importlib.util

import pytest

from kp3d_core.inference import load_model
from kp3d_core.inference.engines import why_unavailable

RTX = importlib.util.find_spec("tensorrt_rtx_bindings") is not None


@pytest.mark.skipif(not why_unavailable("tensorrt"), reason="TensorRT runs here")
def test_where_tensorrt_cannot_run_it_says_what_to_do(kp3d):
    output = kp3d("build-engine", "car", code=1)
    if RTX:
        assert "device cuda needs an NVIDIA GPU, but" in output
        assert "To build for another machine pass its --target, one of sm_75, sm_80," in output
    else:
        assert "tensorrt: it cannot be imported" in output
        assert "install NVIDIA's TensorRT 10 or 11, then pip install 'kp3d[tensorrt]'" in output


@pytest.mark.skipif(not RTX, reason="needs TensorRT for RTX")
def test_engines_for_other_machines(kp3d, tmp_path):
    targets = ("--target", "sm_89", "--target", "sm_120", "--target", "sm_89")
    options = ("--precision", "fp16", "--batch", "1", "--cache", tmp_path)
    output = kp3d("build-engine", "car", *targets, *options)
    assert "car for sm_89, not tested here: " in output
    assert "car for sm_120, not tested here: " in output
    assert len(list(tmp_path.glob("*.engine"))) == 2
    output = kp3d("build-engine", "car", "--target", "sm_90", code=1)
    assert "must be some of sm_75," in output
    assert "got sm_90. Take the compute capability of the robot's GPU: 8.9 is sm_89." in output


@pytest.mark.skipif(not RTX, reason="needs TensorRT for RTX")
def test_parts_for_other_machines(kp3d, tmp_path):
    options = ("--precision", "fp16", "--batch", "1", "--cache", tmp_path / "cache")
    kp3d("build-engine", "car", "--target", "sm_89", *options, "--parts", tmp_path / "parts")
    names = sorted(path.name for path in (tmp_path / "parts").iterdir())
    assert names == ["car_keypoints.engine", "car_orientation.engine"]


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
