"""`kp3d calibrate`: covariances of a model file for other views."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_file


def calibrate(
    model: Annotated[str, typer.Argument(help="Path of an fp32 model file or a shipped name.")],
    data: Annotated[
        list[Path],
        typer.Argument(help="Rendered views of objects that it was not trained on."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Model file to write; may be MODEL itself.")
    ],
    backgrounds: Annotated[
        float, typer.Option(help="Share of the views before random backgrounds instead of black.")
    ] = 0.0,
    objects: Annotated[int, typer.Option(help="Use at most so many objects of a folder.")] = 400,
) -> None:
    """Fit the covariances of a finished model file to views like those that it will see."""
    with user_errors():
        from kp3d_core.export.recalibration import recalibrate

        check_output_file(output)
        recalibrate(model, data, output, backgrounds=backgrounds, max_objects=objects)
    typer.echo(f"{output}: calibrated. A file in int8 belongs to the file before: kp3d quantize.")
