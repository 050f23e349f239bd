"""The command `kp3d reproduce`: options reach the experiment, mistakes become one line."""

import json

import pytest

from kp3d_core.reproduce import ablations, table1
from kp3d_core.reproduce.reproduction import Reproduction


@pytest.fixture
def asked(monkeypatch):
    """What the experiment was asked for, which is not made."""
    asked = {}
    monkeypatch.setattr(
        Reproduction,
        "run",
        lambda self, categories, names, write: asked.update(vars(self), c=categories, n=names),
    )
    return asked


def test_options_reach_the_experiment(kp3d, tmp_path, asked):
    kp3d(
        "reproduce", "table1", "--category", "car", "--category", "chair", "--budget", 7,
        "--test", "3x8", "--output", tmp_path, "--jobs", 1, "--data.objects_per_batch=64",
    )  # fmt: skip
    assert asked["c"] == ["car", "chair"]
    assert asked["output"] == tmp_path
    assert asked["rows"] == table1.ROWS
    settings = json.loads(json.dumps(asked["settings"].to_dict()))
    assert (settings["budget"], settings["test"], settings["train"]) == (7, "3x8", "1000x24")
    assert settings["overrides"] == ["--data.objects_per_batch=64"]


def test_ablations_are_of_cars_unless_asked_otherwise(kp3d, tmp_path, asked):
    kp3d("reproduce", "ablations", "--variant", "no_pose", "--output", tmp_path, "--jobs", 1)
    assert (asked["rows"], asked["c"], asked["n"]) == (ablations.VARIANTS, ["car"], ["no_pose"])


def test_mistakes_are_told_before_anything_is_made(kp3d, tmp_path):
    for arguments, message in (
        (["--train", "1000"], "must be INSTANCESxVIEWS, such as 100x200, got '1000'"),
        (["--budget", 0], "budget must be at least 1, got 0"),
        (["--variant", "no_pose"], "variant must be one of supervised, supervised_onet, ours_onet"),
        (["--category", "boat"], "category must be one of car, plane, chair, got boat"),
    ):
        output = kp3d("reproduce", "table1", "--output", tmp_path / "new", *arguments, code=1)
        assert message in output
    assert not (tmp_path / "new" / "boat").exists()
