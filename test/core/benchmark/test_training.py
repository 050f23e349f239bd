"""`kp3d bench train`: the step that it measures is that of `kp3d train`."""

import pytest

from kp3d_core.benchmark.training import TrainBenchSettings, measure_steps


def test_a_step_is_measured(rendered_cars):
    row = measure_steps(
        TrainBenchSettings.config,
        [
            *(f"--data.{split}={rendered_cars / split}" for split in ("train", "val")),
            "--data.source_size=64",
            "--data.objects_per_batch=3",
            "--data.views_per_object=2",
        ],
        steps=3,
    )
    assert (row["network"], row["input_size"], row["images_per_step"]) == ("fast", 64, 6)
    assert row["precision"] in ("bf16", "fp32")
    assert 0 < row["data_wait_share"] < 0.5
    assert row["images_per_s"] == pytest.approx(6 / (1e-3 * row["step_ms"]))
    assert 1 < row["step_ms"] < 60_000


def test_wrong_settings(tmp_path):
    with pytest.raises(ValueError, match="threads must be positive, got 0. .*fast.yaml must exist"):
        TrainBenchSettings(config=tmp_path / "fast.yaml", threads=0)
