"""Stopping in time: a run that must end by a certain hour leaves a checkpoint to go on from."""

from __future__ import annotations

import re
import time

import lightning as L
from lightning.pytorch.utilities import rank_zero_info

_FORMAT = re.compile(r"(\d+):([0-5]\d):([0-5]\d)")

_SPREAD = 1.1
"""How much longer than the longest epoch so far the next one may take."""


def parse_duration(text: str) -> float:
    """Seconds in `HH:MM:SS`.

    Raises:
        ValueError: another form.
    """
    match = _FORMAT.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"--max-time must have the form HH:MM:SS, got {text!r}. Ten minutes are 00:10:00."
        )
    hours, minutes, seconds = (int(part) for part in match.groups())
    return 3600.0 * hours + 60 * minutes + seconds


class TimeLimit(L.Callback):
    """Stops after the last epoch that ends within the limit, always after at least one.

    Lightning's own `max_time` stops in the middle of an epoch, and a run that goes on from there
    would not see the batches that an unbroken run sees.
    """

    def __init__(self, limit_s: float, started_s: float) -> None:
        """`started_s` is the reading of `time.monotonic` from which the limit counts."""
        self.limit_s = limit_s
        self.started_s = started_s
        self._mark_s = started_s
        self._longest_epoch_s = 0.0
        self._epochs = 0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """From here on, the time from one end to the next is that of an epoch."""
        if self._epochs == 0:
            self._mark_s = time.monotonic()
        self._epochs += 1

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Judge whether one more epoch, with its validation and checkpoint, fits."""
        if self._epochs == 0:
            return  # a resumed run first ends the epoch that its checkpoint is of, once more
        now = time.monotonic()
        self._longest_epoch_s = max(self._longest_epoch_s, now - self._mark_s)
        self._mark_s = now
        stop = now - self.started_s + _SPREAD * self._longest_epoch_s > self.limit_s
        # All processes must stop after the same epoch: the first one's clock decides.
        if trainer.strategy.broadcast(stop):
            trainer.should_stop = True
            rank_zero_info(
                f"Stopping at step {trainer.global_step}, {now - self.started_s:.0f} s after the "
                f"start: another epoch might not end within {self.limit_s:.0f} s. The same command "
                "continues the run."
            )
