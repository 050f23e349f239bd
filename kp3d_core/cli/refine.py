"""`kp3d refine`: correct what a trained network reads, learned from its errors on new objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.bars import bars_by_part
from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_file


def refine(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of `kp3d train`.")],
    data: Annotated[
        list[Path],
        typer.Argument(
            help="Rendered views of objects that it was not trained on: one folder or several, "
            "best by both cameras of `kp3d render`."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Checkpoint to write, for `kp3d export`.")
    ],
    objects: Annotated[
        int, typer.Option(min=2, help="Use at most so many objects of each folder.")
    ] = 3000,
    steps: Annotated[int, typer.Option(help="Steps of the fit, about 25 a second.")] = 4000,
    mirror: Annotated[
        bool, typer.Option(help="Look at the mirror image, too; as in `kp3d export`.")
    ] = True,
) -> None:
    """Fit a small network that corrects keypoints and size; the trained network stays as it is."""
    with user_errors():
        from kp3d_core.export.refined_checkpoint import refine_checkpoint
        from kp3d_core.export.refinement import RefinementSettings

        check_output_file(output, checkpoint)
        with bars_by_part() as show:
            refine_checkpoint(
                checkpoint,
                data,
                output,
                settings=RefinementSettings(steps=steps),
                max_objects=objects,
                mirror=mirror,
                on_progress=show,
            )
    typer.echo(f"{output}: refined. Export it with `kp3d export {output} -o MODEL.onnx`.")
