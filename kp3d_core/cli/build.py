"""`kp3d build`: a model file from a recipe."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from kp3d_core.cli.bars import bars_by_part
from kp3d_core.cli.errors import user_errors
from kp3d_core.cli.training_options import Jobs, Threads
from kp3d_core.files import check_output_folder

if TYPE_CHECKING:
    from kp3d_core.recipe.build import Build
    from kp3d_core.recipe.settings import Recipe


def build(
    recipe: Annotated[Path, typer.Argument(help="YAML file, see config/recipes/.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Run folder; what is there is continued.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell the stages and what they take.")
    ] = False,
    time: Annotated[
        str | None,
        typer.Option(help="Fit the steps of training to a time, such as 90m or 1h30m."),
    ] = None,
    backgrounds: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photographs to put behind the objects, instead of the recipe's."
        ),
    ] = None,
    meshes: Annotated[
        Path | None,
        typer.Option(help="List of meshes for a share of the objects, instead of the recipe's."),
    ] = None,
    jobs: Jobs = None,
    threads: Threads = None,
) -> None:
    """Make a model: data, train, finetune, package, report. Killed anywhere, it goes on."""
    with user_errors(RuntimeError, FloatingPointError):
        seconds = None if time is None else seconds_of(time)
        import joblib

        from kp3d_core.recipe.build import Build
        from kp3d_core.recipe.settings import read_recipe

        check_output_folder(output, ".build", holds="a run of `kp3d build`")
        wanted = read_recipe(recipe)
        if backgrounds is not None:
            wanted = replace(wanted, backgrounds=str(backgrounds))
        if meshes is not None:
            wanted = replace(wanted, data=replace(wanted.data, meshes=str(meshes)))
        if dry_run:
            Console(markup=False).print(_table(Build(wanted, output, jobs or joblib.cpu_count())))
            return
        run_build(wanted, output, seconds, jobs, threads)


def run_build(
    recipe: Recipe, output: Path, seconds: float | None, jobs: int | None, threads: int | None
) -> Path:
    """Make what is still to make, with bars, and say where the model is."""
    import joblib
    import torch

    from kp3d_core.recipe.build import Build
    from kp3d_core.training.run import quiet_lightning

    quiet_lightning()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        with bars_by_part() as show:
            build = Build(recipe, output, jobs or joblib.cpu_count(), report=show, say=typer.echo)
            model = build.run(seconds)
    except KeyboardInterrupt as error:
        typer.echo("Interrupted. The same command goes on.", err=True)
        raise typer.Exit(130) from error
    typer.echo(f"Written: {model} and {output / 'report.html'}")
    return model


def seconds_of(text: str) -> float:
    """Of an option --time."""
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    if parts is None or not any(parts.groups()):
        raise ValueError(f"--time must look like 90m, 1h30m or 45s, got {text!r}.")
    return float(sum(int(n or 0) * s for n, s in zip(parts.groups(), (3600, 60, 1), strict=True)))


def _table(build: Build) -> Table:
    from kp3d_core.recipe.stages import is_done

    table = Table(title=f"{build.name}: stages in {build.output}")
    for column in ("stage", "about [min]", "memory [MB]", "disk [MB]", ""):
        table.add_column(column, justify="left" if column in ("stage", "") else "right")
    for stage in build.stages():
        table.add_row(
            stage.name,
            f"{stage.seconds / 60:.1f}",
            f"{stage.memory_mb:.0f}",
            f"{stage.disk_mb:.0f}",
            "done" if is_done(build.output, stage) else "",
        )
    return table
