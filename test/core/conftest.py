"""Small real data and a small real run, shared by the tests of training, export, evaluation."""

from pathlib import Path

import pytest

CONFIGS = Path(__file__).parents[2] / "config" / "train"
RECIPE = ["fast", CONFIGS / "car.yaml"]

TRAINING = {
    "built",
    "recipe_file",
    "finetuned",
    "trained_run",
    "rendered_cars",
    "tiny_training",
    "tiny_experiment",
}
"""Fixtures that train or read what is trained."""

LIBRARY_WARNINGS = (
    # Lightning on torch 2.13, and torch's exporter: not ours to mend.
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::lightning.fabric.utilities.warnings.PossibleUserWarning",
    "ignore:.*LightningCLI's args parameter.*",
    "ignore:.*litlogger.*",
)


def pytest_collection_modifyitems(items):
    """Tests that train or export see the warnings of the libraries below them."""
    for item in items:
        if TRAINING & set(item.fixturenames):
            for text in LIBRARY_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(text))


def _run(*arguments, code=0):
    from typer.testing import CliRunner

    from kp3d_core.cli.main import app

    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="session")
def kp3d():
    """Runs a command with an exit status, `code=0`; returns its output on one line."""
    return _run


def _render_cars(folder, image_size):
    from kp3d_core.data.cameras import RobotCamera
    from kp3d_core.data.generate import GenerateSettings, generate

    for split, instances in (("train", 6), ("val", 3)):
        settings = GenerateSettings(
            category="car",
            split=split,
            instances=instances,
            views=6,
            camera=RobotCamera(),
            image_size=image_size,
        )
        generate(settings, folder / split)
    return folder


@pytest.fixture(scope="session")
def rendered_cars(tmp_path_factory):
    """Folders `train` (6 cars) and `val` (3 cars) with 6 views each at 64 px."""
    return _render_cars(tmp_path_factory.mktemp("cars"), 64)


@pytest.fixture(scope="session")
def large_cars(tmp_path_factory):
    """The same at the input size of the shipped car model."""
    from kp3d_core.inference import load_model

    return _render_cars(tmp_path_factory.mktemp("large_cars"), load_model("car").input_size)


@pytest.fixture(scope="session")
def tiny_overrides(rendered_cars):
    """Settings that make a run of the shipped recipe four steps on few cars."""
    return [
        f"--data.train={rendered_cars / 'train'}",
        f"--data.val={rendered_cars / 'val'}",
        "--data.input_size=64",
        "--data.source_size=64",
        "--data.objects_per_batch=3",
        "--data.views_per_object=2",
        "--data.steps_per_epoch=2",
        "--data.val_batches=2",
        "--trainer.max_steps=4",
        "--trainer.enable_progress_bar=false",
        "--trainer.log_every_n_steps=1",
        "--trainer.accelerator=cpu",
    ]


@pytest.fixture(scope="session")
def tiny_training(tiny_overrides):
    """Train the shipped recipe for a few steps on few cars."""
    from kp3d_core.training.run import run_training

    def train(output, *overrides, **arguments):
        return run_training(RECIPE, Path(output), [*tiny_overrides, *overrides], **arguments)

    return train


@pytest.fixture(scope="session")
def tiny_training_command(tiny_overrides):
    """The same as arguments of a Python that is started anew."""

    def command(output, *overrides):
        words = ["-m", "kp3d_core.cli.main", "train", *map(str, RECIPE), "--output", str(output)]
        return [*words, *tiny_overrides, *overrides]

    return command


@pytest.fixture(scope="session")
def trained_run(tiny_training, tmp_path_factory):
    """Folder of a finished run of four steps."""
    folder = tmp_path_factory.mktemp("run")
    tiny_training(folder)
    return folder
