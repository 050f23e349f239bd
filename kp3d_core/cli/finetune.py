"""`kp3d finetune`: train network and refiner together, for what the model file gives."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.bars import bars_by_part
from kp3d_core.cli.errors import user_errors
from kp3d_core.cli.training_options import MaxTime, Threads


def finetune(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of `kp3d train`.")],
    train: Annotated[
        Path,
        typer.Argument(help="Rendered views to train on, best of objects not trained on before."),
    ],
    val: Annotated[Path, typer.Argument(help="Rendered views of other objects.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Run folder; an interrupted run in it is continued."),
    ],
    steps: Annotated[int, typer.Option(help="Steps of the training, of 32 views each.")] = 4000,
    learning_rate: Annotated[float, typer.Option(help="At its peak.")] = 2.5e-4,
    threads: Threads = None,
    max_time: MaxTime = None,
) -> None:
    """Train a network and its refiner together, as they will be in the model file."""
    with user_errors(RuntimeError, FloatingPointError):
        import torch

        from kp3d_core.training.finetune_run import run_finetuning
        from kp3d_core.training.finetune_settings import FinetuneSettings
        from kp3d_core.training.time_limit import parse_duration

        if threads is not None:
            torch.set_num_threads(threads)
        with bars_by_part() as show:
            last = run_finetuning(
                checkpoint,
                train,
                val,
                output,
                FinetuneSettings(steps=steps, learning_rate=learning_rate),
                max_time_s=math.inf if max_time is None else parse_duration(max_time),
                report=show,
            )
    typer.echo(f"{last}: finetuned. Next: kp3d package {last} --train ... -o FOLDER")
