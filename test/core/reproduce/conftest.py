"""A whole, tiny Table 1, made once."""

from pathlib import Path

import pytest

from kp3d_core.reproduce.runner import Runner
from kp3d_core.reproduce.settings import SetSize, Settings
from kp3d_core.reproduce.table1 import reproduce_table1

CONFIGS = Path(__file__).parents[3] / "config" / "train"

TINY = Settings(
    budget=3,
    pairs=2,
    train=SetSize(4, 3),
    val=SetSize(2, 3),
    test=SetSize(2, 4),
    overrides=(
        "--data.input_size=32",
        "--data.objects_per_batch=2",
        "--data.views_per_object=2",
        "--data.steps_per_epoch=1",
        "--data.val_batches=1",
        "--trainer.num_sanity_val_steps=0",
        "--trainer.enable_progress_bar=false",
        "--trainer.log_every_n_steps=1",
        "--trainer.accelerator=cpu",
    ),
)


@pytest.fixture(scope="session")
def tiny_experiment(tmp_path_factory):
    """Make a runner with an output folder of its own; all share rendered planes.

    Planes, because their number of landmarks, 8, is not the number of keypoints in any file.
    """
    folder = tmp_path_factory.mktemp("reproduce")

    def runner(name, say=lambda text: None):
        return Runner(folder / name, folder / "data", CONFIGS, TINY, say=say)

    return runner


@pytest.fixture(scope="session")
def tiny_table(tiny_experiment):
    """Folder of a finished table."""
    runner = tiny_experiment("table1")
    reproduce_table1(runner, ["plane"])
    return runner
