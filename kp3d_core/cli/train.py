"""`kp3d train`: train a keypoint network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.errors import user_errors

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}


def train(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="YAML file, see config/train/.")],
    output: Annotated[
        Path | None, typer.Option(help="Run folder; default: runs/<name of the config>.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Continue an interrupted run in the folder.")] = True,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads.", show_default="all cores")
    ] = None,
) -> None:
    """Train from a YAML file. Further options override it: `--trainer.max_steps=1000`."""
    with user_errors(RuntimeError, FloatingPointError):
        import torch

        from kp3d_core.training.run import run_training

        if threads is not None:
            torch.set_num_threads(threads)
        folder = output or Path("runs") / config.stem
        best = run_training(config, folder, context.args, resume)
    typer.echo(f"Best checkpoint: {best}. Next: kp3d export {best} -o {config.stem}.onnx")
