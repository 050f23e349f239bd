"""`kp3d train`: a configuration file in, a run folder with checkpoints and metrics out."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI, SaveConfigCallback

from kp3d_core.provenance import provenance
from kp3d_core.training.datamodule import ShardDataModule
from kp3d_core.training.module import KeypointModule
from kp3d_core.training.monitor import CollapseGuard
from kp3d_core.training.pictures import KeypointPictures


def run_training(
    configs: Sequence[Path], output: Path, overrides: list[str], resume: bool = True
) -> Path:
    """Train to the end, or go on from the last checkpoint of an interrupted run.

    Args:
        configs: YAML files with the keys `model`, `data` and `trainer`; later ones override.
        output: run folder; gets config.yaml, metrics.csv, provenance.json, checkpoints/, pictures/.
            On a resume the metrics so far are kept as metrics.0.csv, metrics.1.csv, ...
        overrides: further arguments in jsonargparse form, such as `--trainer.max_steps=100`.
        resume: continue from `output`/checkpoints/last.ckpt if it is there; otherwise a folder
            that already holds a run is refused.

    Returns:
        The checkpoint with the lowest validation median.

    Raises:
        ValueError: no such file, or a run in the way.
    """
    missing = [str(config) for config in configs if not config.is_file()]
    if missing or not configs:
        raise ValueError(
            f"CONFIG must be YAML files, got {', '.join(missing) or 'none'}"
            f"{', which does not exist' if missing else ''}. See config/train/."
        )
    last = output / "checkpoints" / "last.ckpt"
    if last.exists() and not resume:
        raise ValueError(
            f"{output} already holds a run. Choose another --output, or continue it with --resume."
        )
    for harmless in (
        ".*does not have many workers.*",  # batches are slices of memory
        ".*Checkpoint directory .* exists.*",  # on a resume
        ".*Experiment logs directory .* exists.*",  # provenance.json is there already
        ".*LightningCLI's args parameter.*",  # kp3d has a command line of its own
    ):
        warnings.filterwarnings("ignore", message=harmless)
    folder = output / "checkpoints"
    best = ModelCheckpoint(
        folder,
        filename="best",
        monitor="val_rotation_median_deg",
        enable_version_counter=False,
        save_on_train_epoch_end=False,
    )
    latest = ModelCheckpoint(
        folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True
    )
    cli = LightningCLI(
        KeypointModule,
        ShardDataModule,
        run=False,
        args=[*(f"--config={config}" for config in configs), *overrides],
        save_config_callback=SaveConfigCallback,
        save_config_kwargs={"overwrite": True},
        seed_everything_default=0,
        trainer_defaults={
            "logger": {
                "class_path": "lightning.pytorch.loggers.CSVLogger",
                "init_args": {"save_dir": str(output), "name": "", "version": ""},
            },
            "default_root_dir": str(output),
            "callbacks": [
                best,
                latest,
                CollapseGuard(),
                KeypointPictures(output / "pictures"),
            ],
            "reload_dataloaders_every_n_epochs": 1,
            "max_epochs": -1,
            "log_every_n_steps": 20,
            "enable_model_summary": False,
        },
    )
    output.mkdir(parents=True, exist_ok=True)
    _keep_old_metrics(output)
    (output / "provenance.json").write_text(json.dumps(provenance(), indent=2))
    cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=str(last) if last.exists() else None)
    return Path(best.best_model_path or last)


def _keep_old_metrics(output: Path) -> None:
    """Set the metrics of an interrupted run aside: the logger starts its file anew."""
    metrics = output / "metrics.csv"
    if metrics.exists():
        number = len(list(output.glob("metrics.*.csv")))
        metrics.rename(output / f"metrics.{number}.csv")
