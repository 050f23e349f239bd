"""`kp3d package`: from a checkpoint to the model files that a robot loads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.bars import bars_by_part
from kp3d_core.cli.errors import user_errors


def package(
    checkpoint: Annotated[
        Path, typer.Argument(help="Checkpoint of `kp3d finetune` or `kp3d train`.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model files.")],
    train: Annotated[
        Path, typer.Option(help="Rendered views to average canonical keypoints over.")
    ],
    val: Annotated[
        list[Path],
        typer.Option(help="Unseen rendered views to calibrate on; can be repeated."),
    ],
    test: Annotated[
        Path, typer.Option(help="Rendered views that nothing has seen, to measure on.")
    ],
    backgrounds: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photographs without such objects, to learn what to accept from.",
            show_default="procedural pictures",
        ),
    ] = None,
    encounters: Annotated[
        int, typer.Option(help="Boxes in pictures that acceptance is fitted to.", min=1)
    ] = 800,
    name: Annotated[str | None, typer.Option(help="Name of the model; default: category.")] = None,
    version: Annotated[str, typer.Option(help="Version of the model.")] = "1",
    mirror: Annotated[
        bool, typer.Option(help="Look at the mirror image, too: fewer errors, twice the keypoints.")
    ] = True,
    depth: Annotated[
        bool, typer.Option(help="Fit the correction for depth images, on rendered objects.")
    ] = True,
    category: Annotated[
        str | None,
        typer.Option(help="File of the imported category, to render its objects with depth."),
    ] = None,
    int8: Annotated[bool, typer.Option(help="Write the int8 file, too.")] = True,
    names: Annotated[
        str | None,
        typer.Option(help="Earlier model whose keypoints' names are kept where places agree."),
    ] = None,
) -> None:
    """Write NAME.onnx and NAME.int8.onnx, calibrated and measured, and a report, in one pass."""
    with user_errors():
        from kp3d_core.data.objects import object_category
        from kp3d_core.package.packaging import package
        from kp3d_core.package.report import write_report
        from kp3d_core.package.settings import PackageData, PackageSettings

        settings = PackageSettings(
            version=version,
            mirror=mirror,
            encounters=encounters,
            depth=depth,
            int8=int8,
            names=names,
        )
        data = PackageData(train, tuple(val), test, backgrounds)
        objects = None if category is None else object_category(category)
        with bars_by_part() as show:
            path = package(checkpoint, data, output, name, settings, objects, show)
        page = write_report(path, output / "report.html", [checkpoint.parents[1]])
    typer.echo(f"Written: {path}, {page}")
