"""`kp3d quantize`: a file that engines find, and what it cost in it."""

import json

import pytest

from kp3d_core.inference import create_engine, load_model, shipped_models

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
    kp3d("evaluate", path, large_cars / "val", "--precision", "int8", "--pairs", 3,
         "--output", figures)  # fmt: skip
    metrics = json.loads((figures / "metrics.json").read_text())
    assert metrics["engine"]["precision"] == "int8"
    assert metrics["model"]["sha256"] == first.sha256
    kp3d(*quantize, "--metrics", figures / "metrics.json")
    model = load_model(path)
    assert model.int8 is not None
    assert model.int8.metrics == metrics
    # Its figures are of other views than those of the file in fp32.
    assert create_engine(model).precision == "fp32"


@pytest.mark.parametrize(
    "arguments", [["car", "data"], ["mine.onnx", "--precision", "fp16"]], ids=["name", "fp16"]
)
def test_a_file_to_write_is_asked_for(kp3d, arguments):
    output = kp3d("quantize", *arguments, code=1)
    assert "--output must name the file to write" in output
