"""Model cards from a real evaluation of the shipped car model on a few small cars."""

import json
import shutil

import onnx
import pytest

from kp3d_core.evaluation.card import write_cards
from kp3d_core.evaluation.evaluate import evaluate
from kp3d_core.evaluation.robustness.measure import RobustnessSettings, measure_robustness
from kp3d_core.export.quantize import write_quantized
from kp3d_core.export.to_onnx import file_metadata, write_model
from kp3d_core.inference import load_model


@pytest.fixture(scope="module")
def evaluation(large_cars, tmp_path_factory):
    """Evaluation folder of a copy of the shipped model that holds its figures and a first stage."""
    folder = tmp_path_factory.mktemp("card")
    first = evaluate("car", large_cars / "val", folder / "first", pairs_per_instance=3)
    proto = onnx.load_model_from_string(load_model("car").data)
    metadata = file_metadata(load_model("car")) | {"metrics": first}
    metadata["provenance"]["earlier_stages"] = [
        {"steps": 4321, "views_per_step": 64, "input_size": 32, "checkpoint_sha256": "0" * 64}
    ]
    metadata["provenance"]["refinement"] = {
        "steps": 4000, "views": [{"data": "far", "objects": 1234, "views": 7}]
    }  # fmt: skip
    write_model(proto, metadata, folder / "car.onnx")
    evaluate(str(folder / "car.onnx"), large_cars / "val", folder / "second", pairs_per_instance=3)
    return folder / "second"


def test_card_shows_figures_kinds_failures_and_origin(evaluation, tmp_path):
    write_cards([evaluation], tmp_path / "MODELS.md", tmp_path / "docs" / "images")
    text = (tmp_path / "MODELS.md").read_text()
    metrics = json.loads((evaluation / "metrics.json").read_text())
    row = next(line for line in text.splitlines() if line.startswith("| car |"))
    assert f"| {metrics['rotation_deg']['median']:.2f} |" in row
    for kind in metrics["by_kind"]:
        assert f"| {kind} |" in text
    assert "4,321 steps of 64 views at 32 px, then" in text
    assert "network `fast`" in text
    assert "refiner fitted to 7 views of each of 1,234 other objects, 4,000 steps" in text
    median = load_model("car").surface.measured["with"]["median_percent"]
    assert f"**With a depth image** the translation is off by {median:.2f} %" in text
    for name in ("instances", "views", "failures", "histogram"):
        assert f"(docs/images/car_{name}.jpg)" in text
        assert (tmp_path / "docs" / "images" / f"car_{name}.jpg").stat().st_size > 1000


def test_evaluation_with_other_figures_than_the_file_is_refused(evaluation, tmp_path):
    metrics = json.loads((evaluation / "metrics.json").read_text())
    metrics["rotation_deg"]["mean"] += 1
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(ValueError, match="must be the evaluation whose figures are kept"):
        write_cards([tmp_path], tmp_path / "MODELS.md", tmp_path)


def test_folder_without_an_evaluation_is_refused(tmp_path):
    with pytest.raises(ValueError, match="made by `kp3d evaluate`, got "):
        write_cards([tmp_path], tmp_path / "MODELS.md", tmp_path)


def test_card_shows_what_was_measured_beyond_the_paper(evaluation, tmp_path):
    path = json.loads((evaluation / "metrics.json").read_text())["model"]["file"]
    settings = RobustnessSettings(instances=1, views=2, parts=("backgrounds", "roll"), looks=1)
    result = measure_robustness(path, tmp_path / "robustness", settings)
    page = tmp_path / "MODELS.md"
    write_cards([evaluation], page, tmp_path, [tmp_path / "robustness"])
    text = page.read_text()
    textured = result["backgrounds"]["conditions"]["textured"]
    assert f"| textured | {textured['relative_mean_deg']:.1f} |" in text
    errors = [f"{row['absolute_median_deg']:.0f}" for row in result["sweeps"]["roll"]["black"]]
    assert f"| {' · '.join(errors)} |" in text
    name = result["model"]["name"]
    assert f"`kp3d robustness {name} --output DIR --instances 1 --views 2`" in text


def test_robustness_of_another_file_is_refused(evaluation, tmp_path):
    (tmp_path / "robustness.json").write_text('{"model": {"name": "car", "sha256": "0123"}}')
    with pytest.raises(ValueError, match="one of the files of car, got car with SHA-256 0123"):
        write_cards([evaluation], tmp_path / "MODELS.md", tmp_path, [tmp_path])


def test_int8_has_a_row_of_its_own(evaluation, large_cars, tmp_path):
    source = json.loads((evaluation / "metrics.json").read_text())["model"]["file"]
    model = tmp_path / "car.onnx"
    shutil.copy(source, model)
    figures = load_model("car").metrics | {"spread_3d": 0.123}
    write_quantized(
        str(model), tmp_path / "car.int8.onnx", "int8", large_cars / "train", 1, figures
    )
    metrics = json.loads((evaluation / "metrics.json").read_text())
    metrics["model"]["file"] = str(model)
    shutil.copytree(evaluation, tmp_path / "evaluation")
    (tmp_path / "evaluation" / "metrics.json").write_text(json.dumps(metrics))
    write_cards([tmp_path / "evaluation"], tmp_path / "MODELS.md", tmp_path)
    rows = [
        line for line in (tmp_path / "MODELS.md").read_text().splitlines() if line[:5] == "| car"
    ]
    assert len(rows) == 2
    assert rows[1].startswith("| car, int8 | 96 px |")
    assert "| 0.123 |" in rows[1]
