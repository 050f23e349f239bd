"""`kp3d quantize`: a model file in fp16 or int8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_file


def quantize(
    model: Annotated[str, typer.Argument(help="Path of an fp32 model file or a shipped name.")],
    data: Annotated[
        Path | None,
        typer.Argument(help="Rendered views of the category to calibrate int8 on, unseen ones."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Model file to write; default: MODEL.int8.onnx beside MODEL.onnx, where it "
            "belongs to that model.",
        ),
    ] = None,
    precision: Annotated[str, typer.Option(help="int8, or fp16, which needs no data.")] = "int8",
    objects: Annotated[int, typer.Option(help="Calibrate on so many objects of the folder.")] = 20,
    metrics: Annotated[
        Path | None,
        typer.Option(help="metrics.json of `kp3d evaluate --precision int8`, kept in the file."),
    ] = None,
) -> None:
    """Write a model file whose convolutions run in a smaller precision, for every engine."""
    with user_errors():
        from kp3d_core.export.quantize import write_quantized

        target = output or _beside(model, precision)
        check_output_file(target, Path(model), *([metrics] if metrics else []))
        figures = json.loads(metrics.read_text()) if metrics else None
        write_quantized(model, target, precision, data, objects, figures)
    typer.echo(f"{target}: {target.stat().st_size / 1e6:.1f} MB in {precision}.")
    if metrics is None:
        what = model if output is None else f"{target}"
        option = " --keep" if output is None else ""
        typer.echo(
            f"Measure what it costs: kp3d evaluate {what} RENDERED_FOLDER --output FOLDER{option}"
        )


def _beside(model: str, precision: str) -> Path:
    """Where engines find the int8 form of a model file."""
    from kp3d_core.inference.model_file import int8_path

    path = Path(model).expanduser()
    if precision != "int8" or path.suffix != ".onnx":
        raise ValueError(
            f"--output must name the file to write for a shipped model or in {precision}, got "
            "none. Pass one, or the path of an .onnx file to quantize to int8."
        )
    return int8_path(path)
