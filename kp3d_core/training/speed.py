"""How fast a run is, whether its input keeps up, and when it becomes good."""

from __future__ import annotations

import json
import platform
import resource
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
import torch

from kp3d_core.files import atomic_writer

TARGET_DEG = 8.0
"""Validation median whose time is recorded: a model that tells poses apart."""


@dataclass
class Totals:
    """Sums over a run, resumes included; what a kill undid does not count."""

    training_s: float = 0.0
    """Wall clock from the first step on: steps, validation, checkpoints; no start-up."""
    step_s: float = 0.0
    """The part of it from the start of an epoch to the end of its last step."""
    wait_s: float = 0.0
    """The part of that in which the step waited for its batch."""
    images: int = 0
    """Over all processes."""
    time_to_target_s: float | None = None
    """`training_s` when the validation median was first at most `TARGET_DEG`."""


class SpeedLog(L.Callback):
    """Logs images per second, share of time waiting for input and peak memory of every epoch.

    Their sums over the run are in `speed.json`, rewritten after each epoch. Also brings the log
    file up to date before a checkpoint is written: a resumed run continues where its log ends.
    """

    def __init__(self, path: str | Path) -> None:
        """`path` of `speed.json`."""
        self.path = Path(path)
        self.totals = Totals()
        self._mark_s = self._epoch_s = self._idle_s = 0.0
        self._before = Totals()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The clock starts."""
        self._mark_s = time.monotonic()
        self._before = replace(self.totals)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The first batch is waited for."""
        self._before = replace(self.totals)
        self._epoch_s = self._idle_s = time.monotonic()

    def on_train_batch_start(self, *args: Any, **kwargs: Any) -> None:
        """The batch is there, on its device as far as the host can tell."""
        self.totals.wait_s += time.monotonic() - self._idle_s

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *args: Any
    ) -> None:
        """The step is done, or on its way to a GPU."""
        self.totals.images += trainer.world_size * batch["K"].shape[:2].numel()
        if trainer.is_last_batch or trainer.global_step == trainer.max_steps:  # ends in an epoch
            if pl_module.device.type == "cuda":
                torch.cuda.synchronize(pl_module.device)
            self.totals.step_s += time.monotonic() - self._epoch_s
        self._idle_s = time.monotonic()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Is the model good now?"""
        if trainer.sanity_checking or self.totals.time_to_target_s is not None:
            return
        self._advance()
        if trainer.callback_metrics["val_rotation_median_deg"] <= TARGET_DEG:
            self.totals.time_to_target_s = self.totals.training_s

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the epoch, write the sums."""
        self._advance()
        if self.totals.images == self._before.images:
            return  # a resumed run first ends the epoch that its checkpoint is of, once more
        totals, before = self.totals, self._before
        step_s = max(totals.step_s - before.step_s, 1e-9)
        metrics = {
            "speed/images_per_s": (totals.images - before.images) / step_s,
            "speed/data_wait_share": (totals.wait_s - before.wait_s) / step_s,
            "speed/peak_memory_mb": peak_memory_mb(pl_module.device),
        }
        for logger in trainer.loggers:
            logger.log_metrics(metrics, trainer.global_step)
            logger.save()
        if trainer.is_global_zero:
            with atomic_writer(self.path) as stream:
                stream.write(json.dumps(self._summary(trainer, pl_module), indent=2).encode())

    def _advance(self) -> None:
        now = time.monotonic()
        self.totals.training_s += now - self._mark_s
        self._mark_s = now

    def _summary(self, trainer: L.Trainer, module: L.LightningModule) -> dict[str, Any]:
        totals = self.totals
        step_s = max(totals.step_s, 1e-9)
        return {
            "images_per_s": totals.images / step_s,
            "data_wait_share": totals.wait_s / step_s,
            "peak_memory_mb": peak_memory_mb(module.device),
            f"time_to_{TARGET_DEG:g}_deg_s": totals.time_to_target_s,
            "training_s": totals.training_s,
            "images": totals.images,
            "steps": trainer.global_step,
            "device": device_name(module.device),
            "processes": trainer.world_size,
            "threads_per_process": torch.get_num_threads(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Sums survive a resume."""
        return asdict(self.totals)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Sums survive a resume."""
        self.totals = Totals(**state_dict)


def peak_memory_mb(device: torch.device) -> float:
    """Most memory that this process has held so far: on the GPU, or resident on a CPU [MB]."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # KiB on Linux


def device_name(device: torch.device) -> str:
    """What the hardware calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
