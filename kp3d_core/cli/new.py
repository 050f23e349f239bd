"""`kp3d new`: from a folder of meshes to a model, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.bars import bars_by_part
from kp3d_core.cli.build import run_build, seconds_of
from kp3d_core.cli.errors import user_errors
from kp3d_core.cli.import_meshes import (
    Convention,
    Front,
    Meshes,
    SymmetryAboutZ,
    Up,
    references,
    tell_import,
)
from kp3d_core.cli.training_options import Jobs, Threads


def new(
    name: Annotated[str, typer.Argument(help="Name of the category and of its model.")],
    meshes: Meshes,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Run folder, continued; default: runs/NAME."),
    ] = None,
    time: Annotated[
        str, typer.Option(help="Fit objects and steps of training to a time, such as 30m or 2h.")
    ] = "90m",
    up: Up = "",
    front: Front = "",
    convention: Convention = "",
    symmetry: SymmetryAboutZ = "",
    backgrounds: Annotated[
        Path | None,
        typer.Option(help="Folder of photographs without such objects, to put behind them."),
    ] = None,
    jobs: Jobs = None,
    threads: Threads = None,
) -> None:
    """Make a model of a folder of meshes: import, then build. Killed anywhere, it goes on."""
    with user_errors(RuntimeError, FloatingPointError):
        seconds = seconds_of(time)
        from kp3d_core.objects.meshes.importing import ImportSettings
        from kp3d_core.recipe.new import NewModel
        from kp3d_core.recipe.settings import read_recipe

        settings = ImportSettings(name, up, front, convention, symmetry)
        folder = output or Path("runs") / name
        with bars_by_part() as show:
            model = NewModel(settings, meshes, folder, seconds, backgrounds, references(name), show)
            imported = model.prepare()
        if imported is not None:
            tell_import(imported[0], model.category_file, imported[1])
        if model.recipe_is_edited:
            typer.secho(
                f"{model.recipe_file} counts as you edited it. Delete it to have it written anew.",
                fg="yellow",
                err=True,
            )
        path = run_build(read_recipe(model.recipe_file), folder, seconds, jobs, threads)
    typer.echo(
        f"\nTry it: kp3d infer {path} PHOTOGRAPH -o found\n"
        f"On a robot: ros2 launch kp3d_ros detector.launch.py model:={path.resolve()} "
        "image:=/camera/image_raw camera_info:=/camera/camera_info object_size:=METRES\n"
        "METRES is the longest dimension of the object; without it everything is up to scale."
    )
