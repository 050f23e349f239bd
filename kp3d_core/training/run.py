"""`kp3d train`: a configuration file in, a run folder with checkpoints and metrics out."""

from __future__ import annotations

import itertools
import json
import logging
import math
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI, SaveConfigCallback

from kp3d_core.files import check_output_folder, remove_partial_files, write_text
from kp3d_core.progress import Report
from kp3d_core.provenance import provenance
from kp3d_core.training.datamodule import ShardDataModule
from kp3d_core.training.distributed import torchrun_defaults
from kp3d_core.training.module import KeypointModule
from kp3d_core.training.monitor import CollapseGuard
from kp3d_core.training.pictures import KeypointPictures
from kp3d_core.training.speed import SpeedLog
from kp3d_core.training.time_limit import TimeLimit

TRAINER_DEFAULTS: dict[str, Any] = {
    "use_distributed_sampler": False,  # batches are shared by object, not by number
    "reload_dataloaders_every_n_epochs": 1,
    "max_epochs": -1,
    "log_every_n_steps": 20,
    "enable_model_summary": False,
}
"""Of Lightning's trainer, in all stages."""


PRESETS = Path(__file__).with_name("presets")
"""Settings of the first stage that have a name."""


def config_file(name: str) -> Path:
    """The file that a name stands for, which is its path or that of a preset.

    Raises:
        ValueError: neither.
    """
    path, preset = Path(name), PRESETS / f"{name}.yaml"
    for found in (path, preset):
        if found.is_file():
            return found
    known = ", ".join(sorted(file.stem for file in PRESETS.glob("*.yaml")))
    raise ValueError(
        f"CONFIG must be YAML files or presets ({known}), got {name}, which does not exist. See "
        "config/train/."
    )


def run_training(
    configs: Sequence[str | Path],
    output: Path,
    overrides: list[str],
    resume: bool = True,
    max_time_s: float = math.inf,
    started_s: float | None = None,
    report: Report | None = None,
) -> Path:
    """Train to the end, or go on from the last checkpoint of an interrupted run.

    Args:
        configs: YAML files with the keys `model`, `data` and `trainer`, or names of `PRESETS`;
            later ones override.
        output: run folder; gets config.yaml, metrics.csv, speed.json, provenance.json,
            checkpoints/, pictures/. On a resume the metrics so far are kept as metrics.0.csv,
            metrics.1.csv, ...
        overrides: further arguments in jsonargparse form, such as `--trainer.max_steps=100`.
        resume: continue from `output`/checkpoints/last.ckpt if it is there; otherwise a folder
            that already holds a run is refused.
        max_time_s: stop, with a checkpoint to go on from, before the run takes longer [s].
        started_s: when that time began, by `time.monotonic`; now if None.
        report: told how far it is, instead of Lightning's own display.

    Returns:
        The checkpoint with the lowest validation median.

    Raises:
        ValueError: no such file, or a run in the way.
    """
    if not configs:
        raise ValueError("CONFIG must be YAML files or presets, got none. See config/train/.")
    files = [config_file(str(config)) for config in configs]
    check_output_folder(output, "provenance.json", "checkpoints", holds="a run")
    last = output / "checkpoints" / "last.ckpt"
    if last.exists() and not resume:
        raise ValueError(
            f"{output} already holds a run. Choose another --output, or continue it with --resume."
        )
    best = ModelCheckpoint(
        output / "checkpoints",
        filename="best",
        monitor="val_rotation_median_deg",
        enable_version_counter=False,
        save_on_train_epoch_end=False,
    )
    started_s = time.monotonic() if started_s is None else started_s
    cli = LightningCLI(
        KeypointModule,
        ShardDataModule,
        run=False,
        args=[*(f"--config={config}" for config in files), *overrides],
        save_config_callback=SaveConfigCallback,
        save_config_kwargs={"overwrite": True},
        seed_everything_default=0,
        trainer_defaults={
            **torchrun_defaults(os.environ),
            **TRAINER_DEFAULTS,
            "enable_progress_bar": report is None,
            "plugins": [
                {"class_path": "kp3d_core.training.checkpoint_io.WholeCheckpoints"},
                {"class_path": "kp3d_core.training.distributed.BatchNormSync"},
            ],
            "logger": {
                "class_path": "lightning.pytorch.loggers.CSVLogger",
                "init_args": {"save_dir": str(output), "name": "", "version": ""},
            },
            "default_root_dir": str(output),
            "callbacks": [
                best,
                *run_callbacks(output, max_time_s, started_s, report, "train"),
                CollapseGuard(),
                KeypointPictures(output / "pictures"),
            ],
        },
    )
    if cli.config["trainer"]["max_time"] is not None:
        raise ValueError(
            f"trainer.max_time must not be set, got {cli.config['trainer']['max_time']}: it would "
            "stop in the middle of an epoch, where no run can go on exactly. Use --max-time."
        )
    if cli.config["trainer"]["check_val_every_n_epoch"] != 1:
        raise ValueError(
            "trainer.check_val_every_n_epoch must be 1, got "
            f"{cli.config['trainer']['check_val_every_n_epoch']}: from the checkpoint of an epoch "
            "without validation no run can go on exactly. Set data.steps_per_epoch."
        )
    if cli.trainer.is_global_zero:
        prepare_folder(output)
    cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=str(last) if last.exists() else None)
    return Path(best.best_model_path or last)


class StepReport(L.Callback):
    """Tells after each step how many are done."""

    def __init__(self, report: Report, what: str) -> None:
        """Tell `report` of steps of `what`."""
        self.report = report
        self.what = what

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        """One more."""
        self.report(self.what, trainer.global_step, trainer.max_steps)


def run_callbacks(
    output: Path, max_time_s: float, started_s: float, report: Report | None, what: str
) -> list[L.Callback]:
    """What every run needs: the last checkpoint, the log of its speed, a time limit, a display.

    The time limit counts from `started_s`, by `time.monotonic`; `what` is the display's name.
    """
    _ignore_harmless_warnings()
    latest = ModelCheckpoint(
        output / "checkpoints",
        filename="last",
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    speed = SpeedLog(output / "speed.json")
    shown = [] if report is None else [StepReport(report, what)]
    return [latest, speed, TimeLimit(max_time_s, started_s), *shown]


def _ignore_harmless_warnings() -> None:
    """Those of Lightning that do not concern its users here."""
    for harmless in (
        ".*does not have many workers.*",  # batches are slices of memory
        ".*Checkpoint directory .* exists.*",  # on a resume
        ".*Experiment logs directory .* exists.*",  # provenance.json is there already
        ".*LightningCLI's args parameter.*",  # kp3d has a command line of its own
        r".*Found \d+ module\(s\) in eval mode.*",  # frozen orientation, refiner's network
        ".*number of training batches .* is smaller than the logging interval.*",  # speed, measured
        ".*LeafSpec.* is deprecated.*",  # Lightning's own affair with torch
    ):
        warnings.filterwarnings("ignore", message=harmless)


def quiet_lightning() -> None:
    """Leave out what Lightning says of seeds, devices and its makers' other products."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


def prepare_folder(output: Path, **settings: Any) -> None:
    """Set the metrics of an interrupted run aside: the logger starts its file anew.

    `settings` stand in provenance.json beside what made the run.
    """
    output.mkdir(parents=True, exist_ok=True)
    remove_partial_files(output)
    remove_partial_files(output / "checkpoints")
    write_text(output / "provenance.json", json.dumps(provenance() | settings, indent=2))
    metrics = output / "metrics.csv"
    if metrics.exists():
        earlier = (output / f"metrics.{number}.csv" for number in itertools.count())
        metrics.rename(next(path for path in earlier if not path.exists()))
