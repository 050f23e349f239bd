"""`kp3d polish`: train network and refiner together, for what their export gives."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from kp3d_core.cli.errors import user_errors
from kp3d_core.cli.training_options import MaxTime, Threads


def polish(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of `kp3d refine`.")],
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
    """Train a refined network and its refiner together, as they are exported."""
    with user_errors(RuntimeError, FloatingPointError):
        import torch

        from kp3d_core.training.polish.run import polish_checkpoint
        from kp3d_core.training.polish.settings import PolishSettings
        from kp3d_core.training.time_limit import parse_duration

        if threads is not None:
            torch.set_num_threads(threads)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("reading", total=None, visible=False)

            def show(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total, visible=done < total)

            last = polish_checkpoint(
                checkpoint,
                train,
                val,
                output,
                PolishSettings(steps=steps, learning_rate=learning_rate),
                max_time_s=math.inf if max_time is None else parse_duration(max_time),
                progress_bar=False,
                on_progress=show,
            )
    typer.echo(f"{last}: polished. Export it with `kp3d export {last} -o MODEL.onnx`.")
