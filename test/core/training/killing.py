"""Callbacks that kill their own process, as a lost machine would: for `--trainer.callbacks`."""

import io
import os
import signal

import lightning as L
import torch


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class KillAtStep(L.Callback):
    """Dies before a step."""

    def __init__(self, step: int):
        self.step = step

    def on_train_batch_start(self, trainer, *args):
        if trainer.global_step == self.step:
            die()


class KillInCheckpoint(L.Callback):
    """Dies when half of the checkpoint at the end of an epoch is in its file."""

    def __init__(self, step: int):
        self.step = step

    def on_train_epoch_end(self, trainer, *args):
        if trainer.global_step == self.step:
            torch.save = half_of(torch.save)


def half_of(save):
    def save_half(content, stream):
        whole = io.BytesIO()
        save(content, whole)
        stream.write(whole.getvalue()[: whole.tell() // 2])
        stream.flush()
        die()

    return save_half
