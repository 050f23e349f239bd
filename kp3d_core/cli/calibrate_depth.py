"""`kp3d calibrate-depth`: a model file that knows what a depth image measures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.bars import bars_by_part
from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_file


def calibrate_depth(
    model: Annotated[str, typer.Argument(help="Path of an fp32 model file or a shipped name.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Model file to write; may be MODEL itself.")
    ],
    objects: Annotated[int, typer.Option(help="Objects to render and fit to.")] = 600,
    heldout: Annotated[int, typer.Option(help="Other objects, to measure what remains.")] = 100,
) -> None:
    """Fit how far the visible surface is from the keypoints, for poses with a depth image."""
    with user_errors():
        from kp3d_core.export import surface_fit

        check_output_file(output)
        settings = surface_fit.SurfaceSettings(objects=objects, heldout_objects=heldout)
        with bars_by_part() as show:
            figures = surface_fit.calibrate_depth(model, output, settings, show)
    before, after = figures["without"], figures["with"]
    typer.echo(
        f"{output}: translation with a depth image, {figures['views']} views of unseen objects, "
        f"median {before['median_percent']:.2f} -> {after['median_percent']:.2f} %, 90 % "
        f"{before['p90_percent']:.2f} -> {after['p90_percent']:.2f} % of the distance."
    )
    typer.echo(f"A file in int8 belongs to the file before: kp3d quantize {output} RENDERED_FOLDER")
