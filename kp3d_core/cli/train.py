"""`kp3d train`: train a keypoint network."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.errors import user_errors
from kp3d_core.cli.training_options import MaxTime, Threads

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}


def train(
    context: typer.Context,
    configs: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG...",
            help="Presets, such as fast, and YAML files, see config/train/; later ones override.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Run folder; default: runs/<name of the last config>.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Continue an interrupted run in the folder.")] = True,
    threads: Threads = None,
    max_time: MaxTime = None,
) -> None:
    """Train from YAML files. Further options override them: `--trainer.max_steps=1000`."""
    started_s = time.monotonic()
    with user_errors(RuntimeError, FloatingPointError):
        import torch

        from kp3d_core.training.run import run_training
        from kp3d_core.training.time_limit import parse_duration

        if threads is not None:
            torch.set_num_threads(threads)
        # Options that typer does not know end up among the arguments.
        files = [value for value in configs if not value.startswith("--")]
        overrides = [value for value in configs if value.startswith("--")] + context.args
        folder = output or Path("runs") / Path(files[-1]).stem
        max_time_s = math.inf if max_time is None else parse_duration(max_time)
        best = run_training(files, folder, overrides, resume, max_time_s, started_s)
    typer.echo(f"Best checkpoint: {best}. Next: kp3d finetune {best} TRAIN VAL -o RUN")
