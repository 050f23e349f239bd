"""A whole, tiny Table 1, made once."""

from functools import partial
from pathlib import Path

import pytest

from kp3d_core.reproduce.reproduction import Reproduction
from kp3d_core.reproduce.settings import SetSize, Settings
from kp3d_core.reproduce.table1 import ROWS, write_table

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
    """Make an experiment with an output folder of its own; all share rendered planes.

    Planes, because their number of landmarks, 8, is not the number of keypoints in any file.
    """
    folder = tmp_path_factory.mktemp("reproduce")

    def experiment(name, rows=ROWS, settings=TINY, say=lambda text: None):
        return Reproduction(rows, folder / name, folder / "data", CONFIGS, settings, say=say)

    return experiment


@pytest.fixture(scope="session")
def tiny_table(tiny_experiment):
    """A finished table."""
    table = tiny_experiment("table1")
    table.run(["plane"], (), partial(write_table, table))
    return table
