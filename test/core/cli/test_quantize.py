"""`kp3d quantize`: a file that engines find, and what it cost in it."""

import json
import math

import pytest

from kp3d_core.inference import load_model, shipped_models
from kp3d_core.inference.engines.precision import int8_loss_deg
from kp3d_core.provenance import placeless

pytestmark = pytest.mark.skipif("car" not in shipped_models(), reason="no car model is shipped")


def test_int8_beside_a_model_with_its_figures(kp3d, large_cars, tmp_path):
    path, figures = tmp_path / "mine.onnx", tmp_path / "evaluation"
    path.write_bytes(load_model("car").data)
    quantize = ("quantize", path, large_cars / "train", "--objects", 2)
    output = kp3d(*quantize)
    assert "mine.int8.onnx: 2.3 MB in int8. Measure what it costs: kp3d evaluate " in output
    first = load_model(path).int8
    assert first is not None
    assert first.metrics == {}  # those of the file in fp32 are not its own
    assert int8_loss_deg(load_model(path)) == math.inf  # so that "auto" never takes it
    keep = ("evaluate", path, large_cars / "val", "--pairs", 3, "--output", figures, "--keep")
    assert f"Figures kept in {tmp_path / 'mine.int8.onnx'}" in kp3d(*keep)
    model = load_model(path)
    assert model.int8 is not None
    medians = []
    for made, folder in ((model, figures), (model.int8, figures / "int8")):
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["engine"]["precision"] == made.precision
        assert metrics["engine"]["name"].startswith("onnxruntime ")
        assert made.metrics == placeless(metrics)
        medians.append(metrics["rotation_deg"]["median"])
    assert int8_loss_deg(model) == medians[1] - medians[0]
    assert model.int8.quantized_from == model.sha256
    # All else is as it was.
    assert model.calibration == load_model("car").calibration


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["car", "--precision", "int8"], "got --precision int8. Leave one of them out."),
        (["car"], "--keep must be given the path of an fp32 model file, got car, car in fp32."),
    ],
)
def test_figures_are_kept_in_a_users_file_only(kp3d, tmp_path, arguments, message):
    command = ("evaluate", arguments[0], tmp_path, *arguments[1:])
    assert message in kp3d(*command, "--output", tmp_path / "figures", "--keep", code=1)


@pytest.mark.parametrize(
    "arguments", [["car", "data"], ["mine.onnx", "--precision", "fp16"]], ids=["name", "fp16"]
)
def test_a_file_to_write_is_asked_for(kp3d, arguments):
    output = kp3d("quantize", *arguments, code=1)
    assert "--output must name the file to write" in output
