"""A checkpoint becomes two files and a page in one pass."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from kp3d_core.data.manifest import read_manifest
from kp3d_core.data.memory import load_views
from kp3d_core.evaluation.predictions import over_black
from kp3d_core.inference import create_engine, load_model, shipped_models
from kp3d_core.models.graph import OUTPUT_NAMES, DetectorGraph
from kp3d_core.models.rounding import rounded
from kp3d_core.package.draft import Draft
from kp3d_core.package.settings import PackageSettings
from kp3d_core.training.checkpoint import load_checkpoint
from kp3d_core.training.finetune_run import run_finetuning
from kp3d_core.training.finetune_settings import FinetuneSettings
from kp3d_core.training.module import KeypointModule
from kp3d_core.training.packaged import file_metadata, load_packaged


@pytest.fixture(scope="module")
def finetuned(trained_run, rendered_cars, tmp_path_factory):
    # Few views: a network of few steps tells the orientation by chance.
    settings = FinetuneSettings(
        steps=1, learning_rate=1e-5, warmup_steps=20, warmup_views=32, min_views=1
    )
    return run_finetuning(
        trained_run / "checkpoints" / "last.ckpt",
        rendered_cars / "train",
        rendered_cars / "val",
        tmp_path_factory.mktemp("finetuned"),
        settings,
    )


@pytest.fixture(scope="module")
def packaged(kp3d, finetuned, rendered_cars, tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    output = kp3d("package", finetuned, "--train", rendered_cars / "train",
                  "--val", rendered_cars / "val", "--test", rendered_cars / "val",
                  "-o", folder, "--no-depth", "--encounters", 24)  # fmt: skip
    assert f"{folder}/car.onnx" in output.replace(" ", "")
    return folder / "car.onnx"


@pytest.fixture(scope="module")
def images(rendered_cars):
    views = load_views(rendered_cars / "val", 64)
    return np.concatenate([over_black(views, i) for i in range(2)])


def test_file_is_complete(packaged):
    model = load_model(packaged)
    assert model.category == "car"
    assert model.input_size == 64
    assert model.training_camera.distance == 30
    # 64 px over 5 degrees
    assert model.training_camera.focal_px == pytest.approx(32 / np.tan(np.radians(2.5)))
    assert len(set(model.keypoints.names)) == 20  # ten, and those of the mirror image
    assert np.isfinite(model.keypoints.canonical).all()
    assert (model.keypoints.spread > 0).any()
    assert model.calibration.rotation_scale != 1  # calibrated
    assert model.acceptance.measured["fitted"]["encounters"] == 24
    assert model.acceptance.measured["test"]["encounters"] == 12
    assert model.acceptance.search.images <= 4
    assert model.extent.half[0] > model.extent.half[1]  # cars are longer than wide
    assert model.provenance["config"]["network"] == "fast"
    assert "commit" in model.provenance


def test_both_files_hold_their_own_figures_and_belong_together(packaged):
    model = load_model(packaged)
    assert model.int8 is not None
    for precision, file in (("fp32", model), ("int8", model.int8)):
        kept = packaged.parent / "evaluation" / precision / "metrics.json"
        figures = json.loads(kept.read_text())
        for key in figures.keys() - {"model", "data"}:  # which name folders
            assert file.metrics[key] == figures[key], key
        assert file.metrics["engine"]["precision"] == precision
        assert file.metrics["model"]["file"].endswith("car.onnx")
    assert model.calibration == model.int8.calibration
    assert model.metrics["rotation_deg"] != model.int8.metrics["rotation_deg"]


def test_weights_are_those_that_were_trained_for(packaged, finetuned, images):
    trained = load_checkpoint(finetuned)
    constants = {c.name: c for c in onnx.load(packaged).graph.initializer}
    weight = torch.tensor(onnx.numpy_helper.to_array(constants["model.up4.0.0.weight"]))
    exact = trained.model.state_dict()["up4.0.0.weight"]
    torch.testing.assert_close(weight, rounded(exact), rtol=0, atol=0)
    assert not torch.equal(weight, exact)
    half = create_engine(load_model(packaged), "onnxruntime", precision="fp16").run(images)
    full = create_engine(load_model(packaged), "onnxruntime", precision="fp32").run(images)
    assert np.abs(half["keypoints_uv"] - full["keypoints_uv"]).max() < 0.5


def _outputs(trained, size, distance, images):
    graph = DetectorGraph(trained.model, size, distance, mirror=True, refiner=trained.refiner)
    with torch.no_grad():
        return dict(zip(OUTPUT_NAMES, graph.eval()(torch.from_numpy(images)), strict=True))


def test_packaged_weights_are_restored_exactly(packaged, images):
    trained = load_packaged(str(packaged))
    constants = {c.name: c for c in onnx.load(packaged).graph.initializer}
    for prefix, module in (("model.", trained.model), ("refiner.", trained.refiner)):
        for name, value in module.state_dict().items():
            stored = onnx.numpy_helper.to_array(constants[prefix + name])
            assert np.array_equal(value.numpy(), stored), name
    expected = create_engine(load_model(packaged), "onnxruntime", precision="fp32").run(images)
    for name, value in _outputs(trained, 64, 30.0, images).items():
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_can_be_trained_on(name, large_cars):
    model = load_model(name)
    views = load_views(large_cars / "val", model.input_size)
    images = over_black(views, 0)
    expected = create_engine(model, "onnxruntime", precision="fp32").run(images)
    trained = load_packaged(name)
    got = _outputs(trained, model.input_size, model.training_camera.distance, images)
    for output, value in got.items():
        np.testing.assert_allclose(value.numpy(), expected[output], rtol=1e-3, atol=2e-3)
    module = KeypointModule(network=trained.settings["network"], initial_weights=name)
    for key, value in module.model.state_dict().items():
        assert torch.equal(value, trained.model.state_dict()[key]), key
    assert module.hparams["folded"]  # so that its checkpoints are read as what they are
    with pytest.raises(ValueError, match="initial_weights must come from a network of the same"):
        KeypointModule(network=trained.settings["network"], initial_weights=name, num_keypoints=9)


def test_file_names_data_by_digest_not_by_place(packaged, trained_run):
    metadata = file_metadata(load_model(packaged))
    settings = load_checkpoint(trained_run / "checkpoints" / "last.ckpt").data
    manifest = read_manifest(Path(settings["train"]))
    told = metadata["provenance"]
    assert told["data"]["train"] == told["canonical_data"]
    assert told["canonical_data"]["sha256"] == manifest.sha256
    assert told["canonical_data"]["first_seed"] == manifest.first_seed
    (calibration,) = told["calibration_data"]
    assert calibration["sha256"] == read_manifest(Path(settings["val"])).sha256
    assert settings["train"] not in json.dumps(metadata)


def test_batch_is_free_and_samples_do_not_mix(packaged, images):
    engine = create_engine(load_model(packaged), "onnxruntime", precision="fp32")
    together = engine.run(images[:3])
    for i in range(3):
        alone = engine.run(images[i : i + 1])
        for name in OUTPUT_NAMES:
            np.testing.assert_allclose(together[name][i], alone[name][0], rtol=1e-3, atol=1e-3)


def test_report_is_one_self_contained_page(packaged):
    page = (packaged.parent / "report.html").read_text()
    median = load_model(packaged).metrics["rotation_deg"]["median"]
    assert f"<td>{median:.2f}</td>" in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.count("data:image/png;base64,") == 5  # this training was too short for a curve
    for title in ("Front and back", "Acceptance", "Keypoints", "Origin", "By kind of object"):
        assert f"<h2>{title}</h2>" in page


def test_nothing_is_written_before_all_is_measured(
    kp3d, finetuned, rendered_cars, tmp_path, monkeypatch
):
    def fail(self, views, objects, seven_bits):
        raise ValueError("stopped")

    monkeypatch.setattr(Draft, "quantize", fail)
    output = kp3d("package", finetuned, "--train", rendered_cars / "train",
                  "--val", rendered_cars / "val", "--test", rendered_cars / "val",
                  "-o", tmp_path, "--no-depth", "--encounters", 8, code=1)  # fmt: skip
    assert "stopped" in output
    assert not list(tmp_path.glob("*.onnx"))


def test_mistakes_are_explained(kp3d, trained_run, finetuned, rendered_cars, tmp_path):
    data = ["--train", rendered_cars / "train", "--val", rendered_cars / "val",
            "--test", rendered_cars / "val", "-o", tmp_path]  # fmt: skip
    output = kp3d("package", finetuned, *data, "--no-mirror", code=1)
    assert "package.mirror must be True, as the refiner of this checkpoint was trained" in output
    with pytest.raises(ValueError, match="(?=.*objects must be at least 1)(?=.*backgrounds must)"):
        PackageSettings(objects=0, backgrounds=2.0)
    with pytest.raises(ValueError, match="Weights must come from a model file in fp32"):
        load_packaged(_int8_of("car", tmp_path))


def _int8_of(name, folder):
    path = folder / "mine.onnx"
    path.write_bytes(load_model(name).int8.data)
    return str(path)
