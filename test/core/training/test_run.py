"""Real, very short training runs: what they leave behind, resuming, stopping on trouble."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from kp3d_core.models.efficientnet import EfficientNetTrunk
from kp3d_core.training.checkpoint import keep_weights, load_checkpoint
from kp3d_core.training.run import PRESETS, prepare_folder, run_training

CONFIGS = Path(__file__).parents[3] / "config" / "train"


def weights(folder):
    content = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=False)
    return content["state_dict"], content["global_step"]


def test_run_folder(trained_run):
    rows = list(csv.DictReader((trained_run / "metrics.csv").read_text().splitlines()))
    columns = set(rows[0])
    assert {"train/rotation_deg", "train/flag_accuracy", "train/extent_x"} <= columns
    assert {"val/rotation_median_deg", "val/extent_y", "loss/pose", "loss/total"} <= columns
    config = yaml.safe_load((trained_run / "config.yaml").read_text())
    given = yaml.safe_load((PRESETS / "fast.yaml").read_text())["model"]["weights"]
    assert config["model"]["weights"]["pose_noise"] == given["pose_noise"]
    assert config["model"]["weights"]["separation_threshold"] == 0.05  # resolved, not only given
    assert "commit" in json.loads((trained_run / "provenance.json").read_text())
    assert (trained_run / "checkpoints" / "best.ckpt").is_file()


def test_a_resumed_run_equals_an_unbroken_one(tiny_training, trained_run, tmp_path):
    # Batches and noise are drawn from (seed, epoch, batch): nothing but the checkpoint is needed.
    tiny_training(tmp_path, "--trainer.max_epochs=1")
    assert weights(tmp_path)[1] == 2
    tiny_training(tmp_path)
    resumed, step = weights(tmp_path)
    unbroken, _ = weights(trained_run)
    assert step == 4
    for name, value in unbroken.items():
        assert torch.equal(resumed[name], value), name
    assert (tmp_path / "metrics.0.csv").is_file()


def test_batches_have_a_seed_of_their_own(tiny_training, tmp_path):
    tiny_training(tmp_path, "--data.seed=7", "--trainer.max_steps=1")
    trained = load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert (trained.data["seed"], trained.settings["seed"]) == (7, 0)


def test_a_folder_with_other_things_is_no_run_folder(tmp_path):
    (tmp_path / "config.yaml").write_text("mine")
    with pytest.raises(ValueError, match="must be empty or hold a run, but it holds config.yaml"):
        run_training(["fast"], tmp_path, [])
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("config.yaml", "mine")]


def test_metrics_that_were_set_aside_stay(tmp_path):
    (tmp_path / "metrics.1.csv").write_text("of the second run")
    for text in ("of a third run", "of a fourth run"):
        (tmp_path / "metrics.csv").write_text(text)
        prepare_folder(tmp_path)
    metrics = {p.name: p.read_text() for p in tmp_path.glob("*.csv")}
    assert metrics == {
        "metrics.0.csv": "of a third run",
        "metrics.1.csv": "of the second run",
        "metrics.2.csv": "of a fourth run",
    }


def test_without_resume_a_finished_run_is_not_overwritten(trained_run):
    with pytest.raises(ValueError, match="already holds a run"):
        run_training([trained_run / "config.yaml"], trained_run, [], resume=False)


def test_values_that_are_not_finite_stop_the_run_and_name_the_samples(tiny_training, tmp_path):
    with pytest.raises(FloatingPointError, match=r"not finite at step \d+. Samples .*car-0"):
        tiny_training(
            tmp_path,
            "--model.schedule.learning_rate=1e30",
            "--model.schedule.warmup_steps=0",
            "--trainer.num_sanity_val_steps=0",
        )


def test_missing_config_and_missing_data_are_named(tiny_training, tmp_path):
    with pytest.raises(ValueError, match="CONFIG must be YAML files or presets .*none.yaml"):
        run_training([tmp_path / "none.yaml"], tmp_path, [])
    with pytest.raises(ValueError, match=r"nowhere"):
        tiny_training(tmp_path / "run", f"--data.train={tmp_path / 'nowhere'}")


def test_epochs_without_validation_are_refused(tiny_training, tmp_path):
    # Resumed from the checkpoint of one, Lightning took each batch for an epoch: other weights.
    with pytest.raises(ValueError, match="check_val_every_n_epoch must be 1, got 2: .* go on exac"):
        tiny_training(tmp_path, "--trainer.check_val_every_n_epoch=2")
    assert not (tmp_path / "checkpoints").exists()


def test_training_and_validation_must_not_share_objects(tiny_training, rendered_cars, tmp_path):
    with pytest.raises(ValueError, match="must not share instances, got 6 in both"):
        tiny_training(tmp_path / "run", f"--data.val={rendered_cars / 'train'}")


def test_the_paper_configuration_takes_a_step(rendered_cars, tmp_path):
    # At 64 px and with 2 objects, so that the dilated networks take seconds.
    run_training(
        ["paper", CONFIGS / "car.yaml"],
        tmp_path,
        [
            f"--data.train={rendered_cars / 'train'}",
            f"--data.val={rendered_cars / 'val'}",
            "--data.input_size=64",
            "--data.objects_per_batch=2",
            "--data.steps_per_epoch=1",
            "--data.val_batches=1",
            "--trainer.max_steps=1",
            "--trainer.enable_progress_bar=false",
            "--trainer.accelerator=cpu",
        ],
    )
    state, step = weights(tmp_path)
    assert step == 1
    assert all(value.isfinite().all() for value in state.values())


def test_the_configuration_for_photographs_takes_steps(rendered_cars, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    Image.fromarray(pixels).save(pictures / "a.png")
    (pictures / "broken.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="broken.png is left out of the backgrounds: no picture"):
        run_training(
            ["photographs", CONFIGS / "car.yaml"],
            tmp_path / "run",
            [
                f"--data.train={rendered_cars / 'train'}",
                f"--data.val={rendered_cars / 'val'}",
                f"--data.backgrounds={pictures}",
                "--data.source_size=64",
                "--data.objects_per_batch=2",
                "--data.steps_per_epoch=2",
                "--data.val_batches=1",
                "--trainer.max_steps=2",
                "--trainer.enable_progress_bar=false",
                "--trainer.accelerator=cpu",
            ],
        )
    state, step = weights(tmp_path / "run")
    assert step == 2
    assert all(value.isfinite().all() for value in state.values())
    # It started from the weights of the package, and two steps at a low rate left them near.
    trunk = EfficientNetTrunk()
    trunk.load_imagenet()
    moved = state["model.trunk.stem.0.weight"] - trunk.stem[0].weight
    assert moved.abs().max() < 0.01
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt").earlier_stages == ()


def test_a_second_stage_starts_from_trained_weights(tiny_training, trained_run, tmp_path):
    # No step is taken: what is saved is what the run started from.
    tiny_training(
        tmp_path,
        f"--model.initial_weights={trained_run / 'checkpoints' / 'last.ckpt'}",
        "--model.schedule.learning_rate=0.0",
        "--trainer.max_epochs=1",
    )
    first, _ = weights(trained_run)
    started, _ = weights(tmp_path)
    learned = [name for name in first if name.endswith("weight")]
    assert all(torch.equal(first[name], started[name]) for name in learned)
    (stage,) = load_checkpoint(tmp_path / "checkpoints" / "last.ckpt").earlier_stages
    before = load_checkpoint(trained_run / "checkpoints" / "last.ckpt")
    assert before.earlier_stages == ()
    assert (stage["steps"], stage["input_size"]) == (before.steps, before.data["input_size"])


def test_training_goes_on_from_weights_that_were_kept(tiny_training, trained_run, tmp_path):
    checkpoint = trained_run / "checkpoints" / "last.ckpt"
    kept = tmp_path / "kept.safetensors"
    keep_weights(checkpoint, kept)
    assert kept.stat().st_size < 0.5 * checkpoint.stat().st_size
    whole, alone = load_checkpoint(checkpoint), load_checkpoint(kept)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(alone.model.state_dict()[name], value), name
    assert (alone.steps, alone.data["input_size"]) == (whole.steps, whole.data["input_size"])
    tiny_training(
        tmp_path / "run",
        f"--model.initial_weights={kept}",
        "--model.schedule.learning_rate=0.0",
        "--trainer.max_epochs=1",
    )
    started, _ = weights(tmp_path / "run")
    learned = [name for name in started if name.endswith("weight")]
    first, _ = weights(trained_run)
    assert all(torch.equal(first[name], started[name]) for name in learned)
    (stage,) = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt").earlier_stages
    assert stage["steps"] == whole.steps


def test_damaged_and_foreign_weights_are_refused(trained_run, tmp_path):
    kept = tmp_path / "kept.safetensors"
    keep_weights(trained_run / "checkpoints" / "last.ckpt", kept)
    (tmp_path / "half.safetensors").write_bytes(kept.read_bytes()[:5000])
    with pytest.raises(ValueError, match="half.safetensors must be a whole file of weights"):
        load_checkpoint(tmp_path / "half.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="must be a file of weights in the format kp3d-weights-1"):
        load_checkpoint(tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="output must end in .safetensors, got"):
        keep_weights(trained_run / "checkpoints" / "last.ckpt", tmp_path / "kept.bin")


def test_initial_weights_of_another_network_are_refused(tiny_training, trained_run, tmp_path):
    checkpoint = trained_run / "checkpoints" / "last.ckpt"
    with pytest.raises(ValueError, match="same kind, width and number of keypoints, got .*last"):
        tiny_training(tmp_path, f"--model.initial_weights={checkpoint}", "--model.num_keypoints=7")


def test_views_kept_smaller_than_the_input_are_refused(tiny_training, tmp_path):
    with pytest.raises(ValueError, match="source_size must be at least input_size 64, got 32"):
        tiny_training(tmp_path, "--data.source_size=32")
