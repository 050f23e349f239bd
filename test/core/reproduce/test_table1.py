"""Table 1 end to end, tiny: every method trains, is measured, and nothing is done twice."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml

from kp3d_core.models import ForeignOrientation, WithoutFlag
from kp3d_core.reproduce.table1 import ORIENTATION, ROWS, write_table
from kp3d_core.training.checkpoint import load_checkpoint, load_network
from kp3d_core.training.module import KeypointModule

CONFIGS = Path(__file__).parents[3] / "config" / "train"


def trained(runner, name):
    row = next(row for row in (ORIENTATION, *ROWS) if row.name == name)
    return load_checkpoint(runner.checkpoint("plane", row))


def test_every_row_is_there_with_its_figures(tiny_table):
    content = json.loads((tiny_table.output / "table1.json").read_text())
    rows = content["rows"]["plane"]
    assert list(rows) == ["supervised", "supervised_onet", "ours_onet", "ours"]
    for name, figures in rows.items():
        assert (figures["steps"], figures["images"]) == (3, 12), name
        assert 0 < figures["rotation_deg"]["median"] <= 180
        assert figures["pairs"] == 4
    assert content["paper_shapenet"]["plane"]["ours"]["median_deg"] == 5.721
    text = (tiny_table.output / "table1.md").read_text()
    assert "3 training steps" in text
    assert "from ShapeNet" in text
    assert text.count("*5.721*") == 1
    assert (tiny_table.output / "figure2.png").stat().st_size > 10_000


def test_only_row_a_has_no_flag_and_b_and_c_share_theirs(tiny_table):
    rows = json.loads((tiny_table.output / "table1.json").read_text())["rows"]["plane"]
    assert rows["supervised"]["flag_accuracy"] is None
    assert rows["supervised_onet"]["flag_accuracy"] == rows["ours_onet"]["flag_accuracy"]
    assert isinstance(trained(tiny_table, "supervised").model, WithoutFlag)


def test_supervised_rows_have_a_keypoint_for_each_landmark(tiny_table):
    counts = {row.name: trained(tiny_table, row.name).model.num_keypoints for row in ROWS}
    assert counts == {"supervised": 8, "supervised_onet": 8, "ours_onet": 10, "ours": 10}


@pytest.mark.parametrize("name", ["supervised_onet", "ours_onet"])
def test_the_pretrained_orientation_network_has_not_moved(tiny_table, name):
    model = trained(tiny_table, name).model
    assert isinstance(model, ForeignOrientation)
    pretrained = trained(tiny_table, "orientation").model.state_dict()
    assert all(torch.equal(v, pretrained[k]) for k, v in model.orientation.state_dict().items())


def test_pretraining_moves_the_orientation_stage_and_no_keypoint(tiny_table):
    fresh = KeypointModule().model.state_dict()
    model = trained(tiny_table, "orientation").model.state_dict()
    moved = {name.split(".")[0] for name, value in model.items() if value.is_floating_point()
             and "running" not in name and not torch.equal(value, fresh[name])}  # fmt: skip
    assert {"stem", "orientation_head"} <= moved
    assert not {"keypoint_head", "up4", "scale_head"} & moved


def test_a_finished_table_is_not_made_again(tiny_table, tiny_experiment):
    files = [
        path for path in tiny_table.output.rglob("*") if path.name in ("last.ckpt", "result.json")
    ]
    before = {path: path.stat().st_mtime_ns for path in files}
    assert len(files) == 5 + 4
    said = []
    table = tiny_experiment("table1", say=said.append)
    table.run(["plane"], (), partial(write_table, table))
    assert said == []
    assert {path: path.stat().st_mtime_ns for path in files} == before


def test_what_tells_no_orientation_cannot_give_it(tiny_table):
    with pytest.raises(ValueError, match="needs a network that tells the orientation, got .*last"):
        load_network(tiny_table.checkpoint("plane", ROWS[0]), "A model file")
    for row in ROWS[:3]:
        with pytest.raises(ValueError, match="must be a run that trained its own orientation stag"):
            KeypointModule(orientation_checkpoint=str(tiny_table.checkpoint("plane", row)))
    pretrained = str(tiny_table.checkpoint("plane", ORIENTATION))
    with pytest.raises(ValueError, match="use_flag must be true where orientation_checkpoint is"):
        KeypointModule(orientation_checkpoint=pretrained, use_flag=False)


def test_results_of_other_settings_are_no_part_of_a_table(tiny_table, tiny_experiment):
    other = tiny_experiment("table1", settings=replace(tiny_table.settings, budget=4))
    assert tiny_table.results()
    assert other.results() == {}


def test_supervision_needs_a_keypoint_for_each_landmark(tiny_experiment):
    wrong = replace(ROWS[0], supervised=False)  # its file says 12, the landmarks of cars
    with pytest.raises(ValueError, match="num_keypoints must be 8 to learn .* nose.*, got 12. Set"):
        tiny_experiment("mismatch", (wrong,)).run(["plane"], (), lambda: None)


def test_rows_differ_in_nothing_but_their_method():
    # Budget, batches and augmentation stand in the common file alone.
    for path in sorted((CONFIGS / "table1").glob("*.yaml")):
        content = yaml.safe_load(path.read_text())
        if path.stem == "common":
            assert content["trainer"]["max_steps"] > 0
            continue
        assert set(content) == {"model"}, path
        assert not {"learning_rate", "decay_from"} & set(content["model"].get("schedule", {}))
        assert not {"network", "width", "augmentation"} & set(content["model"])
