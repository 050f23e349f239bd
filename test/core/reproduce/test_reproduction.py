"""Stages survive being killed; what is in the way is said."""

import csv
from dataclasses import replace

import pytest

from kp3d_core.files import exclusive_lock
from kp3d_core.reproduce.table1 import ROWS
from kp3d_core.training.checkpoint import load_checkpoint
from kp3d_core.training.module import KeypointModule

OURS = ROWS[-1]


def test_a_killed_training_goes_on_from_its_checkpoint(tiny_table, tiny_experiment, monkeypatch):
    runner = tiny_experiment("killed", (OURS,))
    step, written = KeypointModule.training_step, []

    def dies_at_step_two(self, batch, batch_idx):
        if self.global_step == 2:
            raise OSError("killed")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(KeypointModule, "training_step", dies_at_step_two)
    with pytest.raises(OSError, match="killed"):
        runner.run(["plane"], (), lambda: written.append(1))
    assert load_checkpoint(runner.checkpoint("plane", OURS)).steps == 2
    assert not written
    assert not runner.results()
    monkeypatch.setattr(KeypointModule, "training_step", step)
    runner.run(["plane"], (), lambda: written.append(1))
    assert written == [1, 1]
    assert load_checkpoint(runner.checkpoint("plane", OURS)).steps == 3
    text = (runner.output / "plane/ours/metrics.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["step"] for row in rows if row["loss/total"]] == ["2"]


def test_a_training_that_ends_early_is_not_taken_for_a_finished_one(tiny_experiment):
    runner = tiny_experiment("early", (OURS,))
    overrides = (*runner.settings.overrides, "--trainer.max_epochs=1")
    runner = replace(runner, settings=replace(runner.settings, overrides=overrides))
    with pytest.raises(RuntimeError, match="ours stopped at step 1 of 3. The same command goes"):
        runner.run(["plane"], (), lambda: None)
    assert not runner.results()


def test_a_category_is_made_by_one_process_at_a_time(tiny_experiment):
    runner = tiny_experiment("locked")
    (runner.output / "plane").mkdir(parents=True)
    with (
        exclusive_lock(runner.output / "plane"),
        pytest.raises(ValueError, match="written by another process"),
    ):
        runner.run(["plane"], (), lambda: None)


def test_unknown_categories_are_named(tiny_experiment):
    with pytest.raises(ValueError, match="one of car, plane, chair, got boat"):
        tiny_experiment("wrong").run(["boat"], (), lambda: None)
