"""`kp3d evaluate --keep`: figures of a new evaluation in both files of a model."""

import json

import onnx
import pytest

from kp3d_core.inference import load_model
from kp3d_core.inference.engines.precision import int8_loss_deg
from kp3d_core.package.to_onnx import write_model
from kp3d_core.provenance import placeless
from kp3d_core.training.packaged import file_metadata


def test_figures_of_both_files_are_kept(kp3d, large_cars, tmp_path):
    path, figures = tmp_path / "mine.onnx", tmp_path / "evaluation"
    path.write_bytes(load_model("car").data)
    int8 = load_model("car").int8
    write_model(onnx.load_from_string(int8.data), file_metadata(int8), tmp_path / "mine.int8.onnx")
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
