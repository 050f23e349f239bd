"""`kp3d quantize`: a model file in fp16 or int8."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.errors import user_errors


def quantize(
    model: Annotated[str, typer.Argument(help="Path of an fp32 model file or a shipped name.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Model file to write (.onnx).")],
    data: Annotated[
        Path | None,
        typer.Argument(help="Rendered views of the category to calibrate int8 on, unseen ones."),
    ] = None,
    precision: Annotated[str, typer.Option(help="int8, or fp16, which needs no data.")] = "int8",
    objects: Annotated[int, typer.Option(help="Calibrate on so many objects of the folder.")] = 20,
) -> None:
    """Write a model file whose convolutions run in a smaller precision, for every engine."""
    with user_errors():
        from kp3d_core.export.quantize import write_quantized

        write_quantized(model, output, precision, data, objects)
    typer.echo(
        f"{output}: {output.stat().st_size / 1e6:.1f} MB in {precision}. Measure what it costs: "
        f"kp3d evaluate {output} RENDERED_FOLDER --output FOLDER"
    )
