"""`kp3d export`: from a checkpoint to the model file that a robot loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_file


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of `kp3d train`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Model file to write (.onnx).")],
    name: Annotated[str | None, typer.Option(help="Name of the model; default: category.")] = None,
    version: Annotated[str, typer.Option(help="Version of the model.")] = "1",
    canonical_data: Annotated[
        Path | None, typer.Option(help="Rendered views to average canonical keypoints over.")
    ] = None,
    calibration_data: Annotated[
        list[Path] | None,
        typer.Option(help="Unseen rendered views to calibrate covariances on, may be repeated."),
    ] = None,
    calibration_backgrounds: Annotated[
        float, typer.Option(help="Share of these before random backgrounds instead of black.")
    ] = 0.0,
    mirror: Annotated[
        bool, typer.Option(help="Look at the mirror image, too: fewer errors, twice the keypoints.")
    ] = True,
    metrics: Annotated[
        Path | None, typer.Option(help="metrics.json of `kp3d evaluate`, kept in the file.")
    ] = None,
) -> None:
    """Write a self-contained .onnx: both networks, decoding, layout, calibration, provenance."""
    with user_errors():
        from kp3d_core.export.to_onnx import export_checkpoint

        check_output_file(output, checkpoint, *([metrics] if metrics else []))
        figures = json.loads(metrics.read_text()) if metrics else None
        differences = export_checkpoint(
            checkpoint,
            output,
            name,
            version,
            canonical_data,
            calibration_data or (),
            mirror=mirror,
            metrics=figures,
            calibration_backgrounds=calibration_backgrounds,
        )
    size = output.stat().st_size / 1e6
    typer.echo(
        f"{output}: {size:.1f} MB. Largest difference to torch: "
        f"{differences['keypoints_uv']:.1e} px, {differences['keypoints_depth']:.1e} model units."
    )
