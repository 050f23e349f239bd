"""Loading model files, and refusing each kind of bad one with its reason."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_model import CANONICAL, NAMES, focal_px, metadata, save_sealed, write_tiny_model

from kp3d_core.inference import load_model, model_file, shipped_models
from kp3d_core.inference.engines.precision import MAX_LOSS_DEG, int8_loss_deg
from kp3d_core.inference.model import ViewTraits


def _with(path: str, value: Any) -> dict[str, Any]:
    """Good metadata with one entry, given by its dotted path, replaced or (None) removed."""
    content = metadata()
    *parents, last = path.split(".")
    entry: Any = content
    for key in parents:
        entry = entry[key]
    if value is None:
        del entry[last]
    else:
        entry[last] = value
    return content


def test_content(model, tiny_path):
    assert (model.name, model.category, model.input_size) == ("tiny", "discs", 128)
    assert model.training_camera.focal_px == pytest.approx(focal_px(128))
    assert model.training_camera.distance == 30
    assert model.keypoints.names == NAMES
    assert model.keypoints.count == len(NAMES)
    assert np.array_equal(model.keypoints.canonical, CANONICAL)
    assert model.keypoints.edges.tolist() == [[0, 2], [0, 3], [1, 5], [4, 5]]
    assert model.calibration.keypoint_uv_scale == 0.2
    assert model.metrics["rotation_deg"]["median"] == 0.1
    assert model.provenance["command"] == "test"
    assert model.data == tiny_path.read_bytes()
    assert model.sha256 == hashlib.sha256(model.data).hexdigest()
    assert len(repr(model)) < 5000  # not the weights


def test_edges_may_be_empty(tmp_path):
    path = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=_with("keypoints.edges", []))
    assert load_model(path).keypoints.edges.shape == (0, 2)


def test_calibration(tmp_path):
    calibration = metadata()["calibration"] | {"relative_rotation_scale": 2.0}
    calibration["own_growth"] |= {"misfit": 9.0, "elevation": -0.5}
    path = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=_with("calibration", calibration))
    found = load_model(path).calibration
    assert found.own_growth == ViewTraits(misfit=9.0, elevation=-0.5)
    assert found.relative_rotation_scale == 2.0
    del calibration["own_growth"]["misfit"]
    path = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=_with("calibration", calibration))
    with pytest.raises(ValueError, match="calibration.own_growth.misfit is missing"):
        load_model(path)


ACCEPTANCE = {
    "offset": -3.0,
    "weights": {"residual": 30.0, "doubt": 2.0, "certainty": -0.6},
    "orientation_slope": 1.2,
    "limits": [[0.01, 0.02, 0.3], [0.1, 0.05, 0.7]],
    "search": {"images": 80, "false": 1, "recall": 0.3},
    "measured": {"test": {"encounters": 5}},
}


def test_acceptance_and_extent(tmp_path):
    content = metadata() | {
        "acceptance": ACCEPTANCE,
        "extent": {"half": [0.9, 0.4, 0.3], "size_std": 0.1, "place_std": 0.06},
    }
    model = load_model(write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=content))
    assert model.acceptance.weights == (30.0, 2.0, -0.6)
    assert model.acceptance.limit(0.05) == (0.1, 0.05, 0.7)
    assert model.acceptance.search == (80, 1, 0.3)
    assert model.acceptance.measured["test"] == {"encounters": 5}
    assert model.extent.half.tolist() == [0.9, 0.4, 0.3]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("limits", [[0.1, 0.05, 0.7], [0.01, 0.02, 0.3]], "limits must not fall"),
        ("limits", [[0.1, 1.5, 0.7]], r"limits must be finite and in \[0, 1\]"),
        ("weights", {}, "acceptance.weights.residual is missing"),
        ("search", {"images": 3}, "acceptance.search.false is missing"),
    ],
)
def test_acceptance_that_is_none_is_refused(tmp_path, key, value, message):
    content = metadata() | {"acceptance": ACCEPTANCE | {key: value}}
    path = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=content)
    with pytest.raises(ValueError, match=message):
        load_model(path)


def test_precision_of_a_file(tmp_path):
    assert load_model(write_tiny_model(tmp_path / "exact.onnx")).precision == "fp32"
    path = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=_with("precision", "int8"))
    assert load_model(path).precision == "int8"
    path = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=_with("precision", "int4"))
    with pytest.raises(ValueError, match="precision must be in .*'fp32', 'fp16', 'int8'.*'int4'"):
        load_model(path)


def test_shipped_models_load():
    for name in shipped_models():
        model = load_model(name)
        assert model.name == name
        assert model.int8 is not None
        assert int8_loss_deg(model) < MAX_LOSS_DEG


def _write_int8(folder: Path, made_of: str) -> Path:
    quantized = metadata() | {"precision": "int8", "quantization": {"model_sha256": made_of}}
    return write_tiny_model(folder / "m.int8.onnx", kp3d_metadata=quantized)


def test_int8_lies_beside_the_file_that_it_was_made_of(tmp_path):
    path = write_tiny_model(tmp_path / "m.onnx")
    assert load_model(path).int8 is None
    _write_int8(tmp_path, load_model(path).sha256)
    int8 = load_model(path).int8
    assert int8 is not None
    assert (int8.precision, int8.int8) == ("int8", None)


@pytest.mark.parametrize("damaged", [False, True])
def test_int8_of_no_use_is_left_out(tmp_path, monkeypatch, caplog, damaged):
    path = write_tiny_model(tmp_path / "m.onnx")
    int8 = _write_int8(tmp_path, load_model(path).sha256 if damaged else "0" * 64)
    if damaged:
        int8.write_bytes(int8.read_bytes()[:-1])
    reason = "it is damaged" if damaged else "it was made of another file than .*m.*Make both again"
    with caplog.at_level(logging.WARNING):
        assert load_model(path).int8 is None
    warning = rf"(?s)m.int8.onnx cannot be used: {reason}.*Going on without int8"
    assert re.search(warning, caplog.text)
    # What came with this package was not made by its user.
    monkeypatch.setattr(model_file.resources, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match=rf"m.int8.onnx .shipped. cannot be used: {reason}"):
        load_model("m")


def test_shipped_model_is_found_by_name(tmp_path, monkeypatch):
    write_tiny_model(tmp_path / "tiny.onnx")
    monkeypatch.setattr(model_file.resources, "files", lambda package: tmp_path)
    assert shipped_models() == ("tiny",)
    assert load_model("tiny").name == "tiny"
    with pytest.raises(ValueError, match=r"shipped model \(tiny\), got 'car2'. Check the name"):
        load_model("car2")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format_version", 3, "format_version must be 2, got 3. Use the release"),
        ("format_version", None, "format_version must be 2, got None"),
        ("name", None, "name is missing"),
        ("category", 3, "category must be of type str, got 3"),
        ("input_size", 64, r"input image must be tensor\(uint8\) of shape \(B, 64, 64, 3\).*128"),
        ("input_size", 128.5, "input_size must be of type int"),
        ("training_camera.focal_px", 0, "training_camera.focal_px must be in .* got 0"),
        ("training_camera.focal_px", 10**400, "training_camera.focal_px must be in .* got inf"),
        ("training_camera.distance", "far", "training_camera.distance must be of type float"),
        ("training_camera", None, "training_camera.focal_px is missing.*distance is missing"),
        ("keypoints.names", ["a", "a", "b", "c", "d", "e"], "different names, got 6 names"),
        ("keypoints.names", ["a", "b"], "must be 3 to 1000 different names, got 2"),
        ("keypoints.canonical", CANONICAL[:5].tolist(), r"must have shape \(6, 3\), got \(5, 3\)"),
        ("keypoints.canonical", [[float("nan")] * 3] * 6, "keypoints.canonical must be finite"),
        ("keypoints.canonical", [[50.0] * 3] * 6, r"keypoints.canonical must be .* in \[-10, 10\]"),
        ("keypoints.canonical", [[10**400] * 3] * 6, "keypoints.canonical must be an array of num"),
        ("keypoints.canonical", [["x"] * 3] * 6, "keypoints.canonical must be an array of numbers"),
        ("keypoints.spread", [[-1.0] * 3] * 6, r"keypoints.spread must be finite and in \[0, 10\]"),
        ("keypoints.edges", [[0, 6]], r"keypoints.edges must be finite and in \[0, 5\]"),
        ("keypoints.colors", [[255, 0, 0]] * 6, r"keypoints.colors must be .* in \[0, 1\]"),
        ("calibration.scale_std", -0.1, "calibration.scale_std must be in"),
        ("calibration.scale_std", True, "calibration.scale_std must be of type float"),
        ("calibration.rotation_scale", None, "calibration.rotation_scale is missing"),
        ("symmetry", None, "symmetry is missing"),
        ("metrics", [], "metrics must be of type dict"),
    ],
)
def test_wrong_metadata_is_refused(tmp_path, path, value, message):
    file = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=_with(path, value))
    with pytest.raises(ValueError, match=f"(?s)m.onnx cannot be used: .*{message}"):
        load_model(file)


def test_keypoint_count_must_match_the_graph(tmp_path):
    content = metadata()
    for key in ("names", "colors", "canonical", "spread"):
        content["keypoints"][key] = content["keypoints"][key][:5]
    content["keypoints"]["edges"] = []
    file = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=content)
    with pytest.raises(ValueError, match=r"keypoints_uv must be .*\(B, 5, 2\).* got .*6, 2"):
        load_model(file)


def test_all_problems_come_in_one_error(tmp_path):
    content = _with("name", None) | {"input_size": -1, "symmetry": 1}
    file = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=content)
    with pytest.raises(ValueError, match="(?=.*name is missing)(?=.*input_size)(?=.*symmetry)"):
        load_model(file)


@pytest.mark.parametrize("text", ["{", "[1]", "", '{"format_version": 2}', "[" * 99999])
def test_metadata_that_is_no_description_is_refused(tmp_path, text):
    file = write_tiny_model(tmp_path / "m.onnx", kp3d_metadata=text)
    with pytest.raises(ValueError, match="metadata.*Export the model again"):
        load_model(file)


@pytest.mark.parametrize("name", ["keypoints_depth", "orientation_score"])
def test_missing_output_is_refused(tmp_path, name):
    file = write_tiny_model(tmp_path / "m.onnx", omit_output=name)
    with pytest.raises(ValueError, match=f"output {name} is missing, the graph has keypoints_uv"):
        load_model(file)


def test_another_onnx_file_is_refused(tiny_path, tmp_path):
    proto = onnx.load(str(tiny_path))
    del proto.metadata_props[:]
    with pytest.raises(ValueError, match="without the metadata entry 'kp3d'.*kp3d package"):
        load_model(save_sealed(proto, tmp_path / "m.onnx"))


def test_fixed_batch_is_refused(tiny_path, tmp_path):
    proto = onnx.load(str(tiny_path))
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(ValueError, match="input image must be .* with free B, got .*1, 128"):
        load_model(save_sealed(proto, tmp_path / "m.onnx"))


def test_unknown_input_is_refused(tiny_path, tmp_path):
    proto = onnx.load(str(tiny_path))
    proto.graph.input.append(helper.make_tensor_value_info("extra", TensorProto.FLOAT, [1]))
    with pytest.raises(ValueError, match="asks for unknown inputs extra"):
        load_model(save_sealed(proto, tmp_path / "m.onnx"))


@pytest.mark.parametrize("claim", [1 << 40, -1, (1 << 63) - 1])
def test_tensors_that_claim_other_sizes_than_their_data_are_refused(tiny_path, tmp_path, claim):
    proto = onnx.load(str(tiny_path))
    tensor = numpy_helper.from_array(np.ones(8, np.float32), "weights")
    tensor.dims[:] = [claim]
    proto.graph.initializer.append(tensor)
    proto.graph.node.append(helper.make_node("Identity", ["weights"], ["more"]))
    proto.graph.output.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, None))
    with pytest.raises(ValueError, match="m.onnx cannot be used: it is damaged, cut short, or no"):
        load_model(save_sealed(proto, tmp_path / "m.onnx"))


def test_weights_in_another_file_are_refused(tiny_path, tmp_path):
    proto = onnx.load(str(tiny_path))
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(2000, np.float32), "big"))
    file = tmp_path / "m.onnx"
    onnx.save(
        proto, str(file), save_as_external_data=True, location="m.weights", size_threshold=1000
    )
    assert (tmp_path / "m.weights").exists()
    save_sealed(onnx.load(str(file), load_external_data=False), file)
    with pytest.raises(ValueError, match="keeps weights in other files, expected a self-contained"):
        load_model(file)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.99])
def test_truncated_file_is_refused(tiny_path, tmp_path, fraction):
    data = tiny_path.read_bytes()
    file = tmp_path / "m.onnx"
    file.write_bytes(data[: int(fraction * len(data))])
    with pytest.raises(ValueError, match="m.onnx.*(copied whole|Copy or export it again|kp3d)"):
        load_model(file)


@pytest.mark.parametrize("content", [b"not a model", b"\x00" * 1000, b"\xff" * 1000])
def test_damaged_file_is_refused(tmp_path, content):
    file = tmp_path / "m.onnx"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="m.onnx cannot be used: it is damaged, cut short, or no"):
        load_model(file)


def test_huge_file_is_refused_before_it_is_read(tmp_path):
    file = tmp_path / "m.onnx"
    with file.open("wb") as stream:
        stream.truncate(model_file.MAX_BYTES + 1)  # sparse: takes no space on disk
    with pytest.raises(ValueError, match="must have 1 to 268435456 bytes, got 268435457"):
        load_model(file)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must exist, got .*gone.onnx .no such file.*Check"):
        load_model(tmp_path / "gone.onnx")
    with pytest.raises(ValueError, match="got .* .a folder"):
        load_model(tmp_path)


def test_metadata_of_the_fixture_is_json():
    assert json.loads(json.dumps(metadata())) == metadata()
