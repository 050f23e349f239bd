"""`kp3d render`: make a data set of rendered views."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from kp3d_core.data.cameras import CameraSettings
    from kp3d_core.data.generate import GenerateSettings


def render(
    category: Annotated[str, typer.Option(help="Object category, such as car.")],
    output: Annotated[
        Path, typer.Option(help="Folder for the shards; an unfinished set in it is continued.")
    ],
    split: Annotated[
        str, typer.Option(help="train, val or test; they never share an instance.")
    ] = "train",
    instances: Annotated[int, typer.Option(help="Number of different objects.")] = 1000,
    views: Annotated[int, typer.Option(help="Views of each object.")] = 200,
    camera: Annotated[
        str,
        typer.Option(
            help="paper = the paper's far, narrow camera; robot = also near ones, zoom and roll."
        ),
    ] = "paper",
    size: Annotated[int, typer.Option(help="Width and height of the images in pixels.")] = 128,
    seed_offset: Annotated[
        int,
        typer.Option(help="N > 0 renders fresh objects that no run without an offset ever uses."),
    ] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(help="Processes that render at the same time.", show_default="all CPU cores"),
    ] = None,
) -> None:
    """Render a data set of a category: RGB, mask and exact cameras in WebDataset shards."""
    import joblib

    from kp3d_core.data.generate import generate

    jobs = joblib.cpu_count() if jobs is None else jobs
    started = time.monotonic()
    already_there: list[int] = []
    try:
        settings = _settings(category, split, instances, views, camera, size, seed_offset, jobs)
        with _progress(views) as progress:
            bar = progress.add_task(f"{category} {split}", total=instances)

            def on_progress(done: int, total: int) -> None:
                already_there.append(done)
                progress.update(bar, completed=done, total=total)

            manifest = generate(settings, output, jobs=jobs, on_progress=on_progress)
    except ValueError as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        typer.echo(
            "Interrupted. Finished shards are kept: the same command continues after them.",
            err=True,
        )
        raise typer.Exit(130) from error
    seconds = time.monotonic() - started
    new_images = (manifest.samples - already_there[0]) * views
    megabytes = sum(shard.bytes for shard in manifest.shards) / 1e6
    typer.echo(
        f"{output}: {manifest.samples} instances x {views} views in {len(manifest.shards)} shards, "
        f"{megabytes:.1f} MB; {new_images} images rendered in {seconds:.1f} s."
    )


def _settings(
    category: str,
    split: str,
    instances: int,
    views: int,
    camera: str,
    size: int,
    seed_offset: int,
    jobs: int,
) -> GenerateSettings:
    """Check all options together, so that one error tells everything that is wrong."""
    from kp3d_core.data.cameras import PaperCamera, camera_by_name
    from kp3d_core.data.generate import GenerateSettings
    from kp3d_core.data.procedural import CATEGORIES

    errors = []
    if category not in CATEGORIES:
        errors.append(
            f"category must be one of {', '.join(CATEGORIES)}, got {category!r}. Choose one."
        )
    if jobs < 1:
        errors.append(f"jobs must be at least 1, got {jobs}. Pass a number of processes.")
    camera_settings: CameraSettings = PaperCamera()
    try:
        camera_settings = camera_by_name(camera)
    except ValueError as error:
        errors.append(str(error))
    try:
        settings = GenerateSettings(
            category=category,
            split=split,
            instances=instances,
            views=views,
            camera=camera_settings,
            image_size=size,
            seed_offset=seed_offset,
        )
    except ValueError as error:
        errors.append(str(error))
    if errors:
        raise ValueError(" ".join(errors))
    return settings


class _ImageRate(ProgressColumn):
    """Rendered images per second."""

    def __init__(self, views: int) -> None:
        super().__init__()
        self.views = views

    def render(self, task: Task) -> Text:
        """Show the rate, or nothing before it is known."""
        rate = task.finished_speed or task.speed
        return Text(f"{rate * self.views:.0f} images/s" if rate else "")


def _progress(views: int) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _ImageRate(views),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
