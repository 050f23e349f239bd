"""`kp3d bench train`: images per second of the training step, and where its time goes."""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.cli import LightningCLI
from torch import Tensor

from kp3d_core.benchmark.baseline import begin
from kp3d_core.benchmark.machine import torch_threads
from kp3d_core.data.cameras import camera_by_name
from kp3d_core.data.generate import GenerateSettings, generate
from kp3d_core.training.datamodule import ShardDataModule
from kp3d_core.training.module import KeypointModule
from kp3d_core.training.precision import uses_bf16
from kp3d_core.training.run import PRESETS
from kp3d_core.training.speed import SpeedLog, Totals, peak_memory_mb

STAGES = ("data", "augmentation", "forward", "losses", "metrics", "backward", "optimizer")
"""Parts of a step; what is left is the trainer's own work."""
_SOURCE_SIZE = 128
_PLAIN = ("--model.precision=fp32", "--data.objects_per_batch=4")
"""The paper's networks as they are; fewer objects than its recipe, which is for a GPU."""


@dataclass(frozen=True)
class TrainBenchSettings:
    """What to measure."""

    config: Path = PRESETS / "fast.yaml"
    """Recipe whose step is measured; `paper.yaml` beside it is what it is compared with."""
    category: str = "car"
    threads: int = 2
    steps: int = 20
    """Measured after as many that do not count."""
    plain_steps: int = 2
    """The same of the plain form, one step of which takes seconds on a CPU."""
    objects: int = 32
    """Rendered for the purpose, with `views` views each."""
    views: int = 8

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = [
            f"{name} must be positive, got {getattr(self, name)}."
            for name in ("threads", "steps", "plain_steps", "objects", "views")
            if getattr(self, name) < 1
        ]
        for path in (self.config, self.plain_config):
            if not path.is_file():
                problems.append(f"{path} must exist. Pass another --config.")
        if problems:
            raise ValueError("Benchmark settings are wrong: " + " ".join(problems))

    @property
    def plain_config(self) -> Path:
        """Recipe of the paper's networks."""
        return self.config.with_name("paper.yaml")


def bench_train(
    settings: TrainBenchSettings, on_progress: Callable[[str], None] = lambda what: None
) -> dict[str, Any]:
    """Measure everything; the content of the JSON file."""
    result = begin(
        "train", settings, threads=settings.threads, seconds=1.0, on_progress=on_progress
    )
    result["settings"]["config"] = str(settings.config)  # JSON has no paths
    with tempfile.TemporaryDirectory() as folder, torch_threads(settings.threads):
        on_progress("rendering")
        data = _render(settings, Path(folder))
        on_progress(f"a step of {settings.config.name}")
        fast = measure_steps(settings.config, data, settings.steps)
        on_progress("a step of the paper's networks in eager float32")
        plain = measure_steps(settings.plain_config, [*data, *_PLAIN], settings.plain_steps)
    result["rows"] = [fast, plain]
    result["ratios"] = {"train_over_plain": fast["images_per_s"] / plain["images_per_s"]}
    return result


def _render(settings: TrainBenchSettings, folder: Path) -> list[str]:
    """Views of a few objects; the options that say where they are."""
    options = []
    for split, instances in (("train", settings.objects), ("val", 1)):
        wanted = GenerateSettings(
            settings.category,
            split,
            instances,
            views=settings.views,
            camera=camera_by_name("robot"),
            image_size=_SOURCE_SIZE,
        )
        generate(wanted, folder / split)
        options.append(f"--data.{split}={folder / split}")
    return options


def measure_steps(config: Path, overrides: list[str], steps: int) -> dict[str, Any]:
    """Speed of a recipe's step and the share of each of its stages.

    Args:
        config: YAML file of `kp3d train`.
        overrides: further options in the form of its command line.
        steps: how many are measured, after as many that do not count.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet():
        speed = SpeedLog(Path(folder) / "speed.json")
        window = _Window(speed)
        cli = LightningCLI(
            _ProfiledModule,
            ShardDataModule,
            run=False,
            args=[
                f"--config={config}",
                *overrides,
                f"--data.steps_per_epoch={steps}",
                f"--trainer.max_steps={2 * steps}",
                "--trainer.accelerator=cpu",
                "--trainer.limit_val_batches=0",
            ],
            save_config_callback=None,
            seed_everything_default=False,  # the module has its own seed
            trainer_defaults={
                "callbacks": [speed, window],
                "logger": False,
                "enable_checkpointing": False,
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "use_distributed_sampler": False,
                "reload_dataloaders_every_n_epochs": 1,
                "num_sanity_val_steps": 0,
                "default_root_dir": folder,
            },
        )
        cli.trainer.fit(cli.model, cli.datamodule)
    module, data = cli.model, cli.datamodule
    before, totals = window.before, speed.totals
    step_s = totals.step_s - before.step_s
    seconds = {**module.seconds, "data": totals.wait_s - before.wait_s}
    images = totals.images - before.images
    return {
        "config": config.name,
        "network": module.hparams["network"],
        "precision": "bf16" if uses_bf16(module.precision, module.device) else "fp32",
        "input_size": data.input_size,
        "images_per_step": images // steps,
        "steps": steps,
        "step_ms": 1e3 * step_s / steps,
        "images_per_s": images / step_s,
        "data_wait_share": seconds["data"] / step_s,
        "shares": {stage: seconds[stage] / step_s for stage in STAGES},
        "peak_memory_mb": peak_memory_mb(module.device),
    }


class _ProfiledModule(KeypointModule):
    """The module with a clock at the borders of its stages; for the CPU, which nothing outruns."""

    seconds: defaultdict[str, float]

    def on_train_epoch_start(self) -> None:
        """Start from zero."""
        self.seconds = defaultdict(float)

    @contextmanager
    def _clock(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - start

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """What comes before the network is augmentation, what comes after the losses metrics."""
        start = time.perf_counter()
        loss = super().training_step(batch, batch_idx)
        end = time.perf_counter()
        self.seconds["augmentation"] += self._forward_start - start
        self.seconds["metrics"] += end - self._losses_end
        return loss

    def _forward(self, *args: Any) -> Any:
        self._forward_start = time.perf_counter()
        with self._clock("forward"):
            return super()._forward(*args)

    def _losses(self, *args: Any) -> Any:
        with self._clock("losses"):
            parts = super()._losses(*args)
        self._losses_end = time.perf_counter()
        return parts

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Gradients."""
        with self._clock("backward"):
            super().backward(loss, *args, **kwargs)

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None
    ) -> None:
        """The trainer hands over a closure that predicts and differentiates."""

        def closure() -> Any:
            with self._clock("closure"):
                return optimizer_closure()

        with self._clock("whole"):
            super().optimizer_step(epoch, batch_idx, optimizer, closure)
        self.seconds["optimizer"] = self.seconds["whole"] - self.seconds["closure"]


class _Window(L.Callback):
    """Remembers the sums at the start of the last epoch; those before it were for warming up."""

    def __init__(self, speed: SpeedLog) -> None:
        self._speed = speed
        self.before = Totals()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.before = replace(self._speed.totals)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence for Lightning, which has advice about short runs."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
