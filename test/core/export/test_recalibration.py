"""Covariances of a finished model file, fitted to other views."""

from __future__ import annotations

import dataclasses

import onnx
import pytest

from kp3d_core.data.manifest import read_manifest
from kp3d_core.data.memory import join_views, load_views
from kp3d_core.export.recalibration import recalibrate
from kp3d_core.export.to_onnx import file_metadata
from kp3d_core.inference import load_model


def test_only_covariances_change(large_cars, tmp_path):
    output = tmp_path / "car.onnx"
    folders = [large_cars / "val", large_cars / "train"]
    recalibrate("car", folders, output)
    before, after = load_model("car"), load_model(output)
    assert after.calibration != before.calibration
    assert onnx.load_from_string(after.data).graph == onnx.load_from_string(before.data).graph
    contents = [file_metadata(model) for model in (before, after)]
    told = contents[1].pop("recalibration")
    assert told["model_sha256"] == before.sha256
    objects = sum(len(load_views(folder, before.input_size).rgba) for folder in folders)
    assert told["objects"] == objects
    digests = [entry["sha256"] for entry in told["data"]]
    assert digests == [read_manifest(folder).sha256 for folder in folders]
    for content in contents:
        content.pop("calibration")
    contents[0].pop("recalibration", None)
    assert contents[0] == contents[1]


def test_other_models_and_data_are_refused(large_cars, tmp_path, monkeypatch):
    output = tmp_path / "m.onnx"
    with pytest.raises(ValueError, match="must show the model's category plane, got car"):
        recalibrate("plane", [large_cars / "val"], output)
    int8 = load_model("car").int8
    monkeypatch.setattr("kp3d_core.export.recalibration.load_model", lambda name: int8)
    with pytest.raises(ValueError, match="MODEL must be in fp32, got car in int8"):
        recalibrate("car", [large_cars / "val"], output)
    assert not output.exists()


def test_sets_are_joined_object_by_object(large_cars):
    sets = [load_views(large_cars / split, 48) for split in ("val", "train")]
    joined = join_views([load_views(large_cars / split, 48, 2) for split in ("val", "train")])
    assert joined.keys == (*sets[0].keys[:2], *sets[1].keys[:2])
    for i, views in enumerate(sets):
        assert (joined.rgba[2 * i : 2 * i + 2] == views.rgba[:2]).all()
        assert (joined.K[2 * i : 2 * i + 2] == views.K[:2]).all()
        assert (joined.T_camera_object[2 * i : 2 * i + 2] == views.T_camera_object[:2]).all()
    fewer = dataclasses.replace(sets[0], rgba=sets[0].rgba[:, :1])
    for other in (fewer, dataclasses.replace(sets[0], category="chair")):
        with pytest.raises(ValueError, match="must agree in category, training camera"):
            join_views([sets[0], other])
