"""`kp3d calibrate` and `kp3d calibrate-depth`: what they write, and what they refuse."""

import pytest

from kp3d_core.inference import load_model, shipped_models

pytestmark = pytest.mark.skipif("car" not in shipped_models(), reason="no car model is shipped")


def test_calibration_over_the_file_itself(kp3d, large_cars, tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes(load_model("car").data)
    output = kp3d("calibrate", path, large_cars / "val", "-o", path)
    assert "mine.onnx: calibrated. A file in int8 belongs to the file before" in output
    assert load_model(path).calibration != load_model("car").calibration


@pytest.mark.parametrize("command", ["calibrate", "calibrate-depth"])
def test_models_in_int8_are_refused(kp3d, large_cars, tmp_path, command):
    path = tmp_path / "mine.onnx"
    path.write_bytes(load_model("car").int8.data)
    data = [large_cars / "val"] if command == "calibrate" else []
    output = kp3d(command, path, *data, "-o", tmp_path / "out.onnx", code=1)
    assert "MODEL must be in fp32" in output
    assert "got car in int8" in output
    assert not (tmp_path / "out.onnx").exists()
