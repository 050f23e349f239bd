"""What a run records about its speed."""

import csv
import json

from kp3d_core.training import speed


def test_every_epoch_logs_its_speed(trained_run):
    rows = list(csv.DictReader((trained_run / "metrics.csv").read_text().splitlines()))
    epochs = [row for row in rows if row["speed/images_per_s"]]
    assert [int(row["step"]) for row in epochs] == [2, 4]
    assert all(float(row["speed/images_per_s"]) > 0 for row in epochs)
    assert all(0 <= float(row["speed/data_wait_share"]) < 0.5 for row in epochs)
    assert all(float(row["speed/peak_memory_mb"]) > 100 for row in epochs)  # torch alone is more


def test_the_run_records_its_sums_and_the_machine(trained_run):
    summary = json.loads((trained_run / "speed.json").read_text())
    assert summary["images"] == 4 * 3 * 2  # steps, objects, views
    assert summary["steps"] == 4
    # Validation and checkpoints are part of the training time, not of the speed of the step.
    assert 0 < summary["images"] / summary["images_per_s"] < summary["training_s"]
    assert summary["time_to_8_deg_s"] is None  # four steps reach nothing
    assert summary["processes"] == 1
    assert summary["threads_per_process"] >= 1
    assert summary["device"]


def test_the_time_to_a_good_median_is_that_of_the_first_validation(
    tiny_training, tmp_path, monkeypatch
):
    monkeypatch.setattr(speed, "TARGET_DEG", 180.0)  # which every median reaches
    tiny_training(tmp_path)
    summary = json.loads((tmp_path / "speed.json").read_text())
    assert 0 < summary["time_to_180_deg_s"] < summary["training_s"]


def test_a_run_that_ends_within_an_epoch_has_the_speed_of_its_steps(tiny_training, tmp_path):
    tiny_training(tmp_path, "--trainer.max_steps=1")  # of two in an epoch
    summary = json.loads((tmp_path / "speed.json").read_text())
    assert summary["steps"] == 1
    assert 0 < summary["images"] / summary["images_per_s"] < summary["training_s"]
    assert summary["data_wait_share"] < 1
