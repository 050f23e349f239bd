"""Runs that are killed, stopped in time and taken up again."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from kp3d_core.training.checkpoint_io import WholeCheckpoints
from kp3d_core.training.time_limit import parse_duration


def checkpoint(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=False)


def assert_same_weights(folder, other):
    expected = checkpoint(other)["state_dict"]
    for name, value in checkpoint(folder)["state_dict"].items():
        assert torch.equal(value, expected[name]), name


def curve(folder, column="loss/total"):
    tables = [path.read_text().splitlines() for path in folder.glob("metrics*.csv")]
    rows = [row for table in tables for row in csv.DictReader(table)]
    return {int(row["step"]): row[column] for row in rows if row.get(column)}


def test_a_run_killed_twice_ends_with_the_weights_of_an_unbroken_one(
    tiny_training, tiny_training_command, trained_run, tmp_path
):
    # Within the second of two epochs, and again while that epoch's checkpoint is being written.
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{os.getcwd()}"}
    for killer, step in (("KillAtStep", 3), ("KillInCheckpoint", 4)):
        command = tiny_training_command(
            tmp_path,
            f"--trainer.callbacks=killing.{killer}",
            f"--trainer.callbacks.step={step}",
        )
        run = subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, text=True
        )
        assert run.returncode == -signal.SIGKILL, run.stderr
        assert checkpoint(tmp_path)["global_step"] == 2
    assert (tmp_path / "checkpoints" / ".last.ckpt.partial").is_file()  # it died in the middle
    # All that its checkpoint would have seen is in the log.
    assert set(curve(tmp_path)) == {0, 1, 2, 3}
    assert set(curve(tmp_path, "val/rotation_deg")) == {2, 4}

    tiny_training(tmp_path)
    assert_same_weights(tmp_path, trained_run)
    assert not list(tmp_path.glob("checkpoints/.*"))
    assert curve(tmp_path) == curve(trained_run)
    assert json.loads((tmp_path / "speed.json").read_text())["images"] == 4 * 3 * 2


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"step": torch.tensor(1)}, path)
    with pytest.raises(Exception, match="pickle"):
        WholeCheckpoints().save_checkpoint({"step": torch.zeros(9), "bad": lambda: None}, path)
    assert torch.load(path) == {"step": torch.tensor(1)}
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_run_out_of_time_stops_after_an_epoch_and_continues(tiny_training, trained_run, tmp_path):
    tiny_training(tmp_path, max_time_s=0.5, started_s=time.monotonic() - 1)
    assert checkpoint(tmp_path)["global_step"] == 2  # one epoch at least
    tiny_training(tmp_path, max_time_s=600.0)
    assert_same_weights(tmp_path, trained_run)


def test_durations():
    assert parse_duration("00:09:30") == 570
    assert parse_duration("26:00:01") == 93601
    with pytest.raises(ValueError, match="HH:MM:SS, got '10m'.*00:10:00"):
        parse_duration("10m")


def test_lightnings_own_time_limit_is_refused(tiny_training, tmp_path):
    with pytest.raises(ValueError, match="middle of an epoch.*--max-time"):
        tiny_training(tmp_path, "--trainer.max_time=00:00:10:00")
