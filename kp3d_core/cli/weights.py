"""`kp3d weights`: the weights of a checkpoint alone, to keep and to go on from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_file


def weights(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of `kp3d train`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write (.safetensors).")],
) -> None:
    """Keep the weights of a checkpoint; training goes on from them by model.initial_weights."""
    with user_errors():
        from kp3d_core.training.checkpoint import keep_weights

        check_output_file(output, checkpoint)
        trained = keep_weights(checkpoint, output)
    typer.echo(
        f"{output}: network {trained.settings['network']} after {trained.steps} steps, "
        f"{output.stat().st_size / 1e6:.1f} MB."
    )
