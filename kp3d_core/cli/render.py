"""`kp3d render`: make a data set of rendered views."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kp3d_core.cli.bars import bars_by_part
from kp3d_core.cli.errors import user_errors

if TYPE_CHECKING:
    from kp3d_core.data.cameras import CameraSettings
    from kp3d_core.data.generate import GenerateSettings, InstanceSource


def render(
    category: Annotated[
        str, typer.Option(help="car, chair, mug, plane, or a file that `kp3d import` wrote.")
    ],
    output: Annotated[
        str,
        typer.Option(
            help="Folder for the shards, or a URL that fsspec opens, such as s3://bucket/set; an "
            "unfinished set in it is continued."
        ),
    ],
    split: Annotated[
        str, typer.Option(help="train, val or test; they never share an instance.")
    ] = "train",
    instances: Annotated[int, typer.Option(help="Number of different objects.")] = 1000,
    views: Annotated[int, typer.Option(help="Views of each object.")] = 200,
    camera: Annotated[
        str,
        typer.Option(
            help="paper = the paper's far, narrow camera; robot = also near ones, zoom and roll; "
            "eye_level = half of them at the height of people and robots, for photographs."
        ),
    ] = "paper",
    light: Annotated[
        str,
        typer.Option(
            help="overhead = the paper's; varied = another one for every view; photographs = sun "
            "and sky with shadows, highlights, reflections, see-through panes, dirt."
        ),
    ] = "overhead",
    random_surfaces: Annotated[
        float,
        typer.Option(
            help="Share of objects with random textures and colours; needs --light photographs."
        ),
    ] = 0.0,
    reflections: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photographs that objects mirror, beside made-up surroundings; needs "
            "--light photographs."
        ),
    ] = None,
    meshes: Annotated[
        Path | None,
        typer.Option(help="JSON list of mesh files to make objects of, see docs/training.md."),
    ] = None,
    mesh_share: Annotated[
        float, typer.Option(help="Share of the objects made of --meshes; the rest is procedural.")
    ] = 1.0,
    generator: Annotated[
        int,
        typer.Option(
            help="Version of the built-in objects' generators. 1 = of all test sets; 2 = cars as "
            "they stand in streets, for photographs: insides, lamps with parts, dark paints, "
            "convertibles, trucks, racing cars; other categories as in 1."
        ),
    ] = 1,
    size: Annotated[int, typer.Option(help="Width and height of the images in pixels.")] = 128,
    seed_offset: Annotated[
        int,
        typer.Option(
            help="N > 0 renders fresh objects that no run without an offset ever uses, from the "
            "N-th one: offsets of two sets must differ by more than their objects."
        ),
    ] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(help="Processes that render at the same time.", show_default="all CPU cores"),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Render on a Dask cluster instead: dask://host:port of its scheduler."),
    ] = None,
) -> None:
    """Render a data set of a category: RGB, mask and exact cameras in WebDataset shards."""
    with user_errors():
        import joblib

        from kp3d_core.data.generate import generate

    jobs = joblib.cpu_count() if jobs is None else jobs
    started = time.monotonic()
    already_there: list[int] = []
    try:
        with user_errors():
            settings = _settings(
                category=category,
                camera=camera,
                jobs=jobs,
                meshes=meshes,
                split=split,
                instances=instances,
                views=views,
                light=light,
                random_surfaces=random_surfaces,
                reflections="" if reflections is None else str(reflections),
                image_size=size,
                seed_offset=seed_offset,
            )
            source = _source(category, split, meshes, mesh_share, generator)
            with _interrupt_once(), bars_by_part() as show:

                def on_progress(done: int, total: int) -> None:
                    already_there.append(done)
                    show(f"{category} {split}", done, total)

                manifest = generate(
                    settings,
                    output,
                    jobs=jobs,
                    cluster=cluster,
                    source=source,
                    on_progress=on_progress,
                )
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
    category: str, camera: str, jobs: int, meshes: Path | None, **others: Any
) -> GenerateSettings:
    """Check all options together, so that one error tells everything that is wrong."""
    from kp3d_core.data.cameras import PaperCamera, camera_by_name
    from kp3d_core.data.generate import GenerateSettings
    from kp3d_core.data.objects import object_category

    errors = []
    name = category
    if meshes is None:  # a list says which categories it has
        try:
            name = object_category(category).name
        except ValueError as error:
            errors.append(str(error))
    if jobs < 1:
        errors.append(f"jobs must be at least 1, got {jobs}. Pass a number of processes.")
    camera_settings: CameraSettings = PaperCamera()
    try:
        camera_settings = camera_by_name(camera)
    except ValueError as error:
        errors.append(str(error))
    try:
        settings = GenerateSettings(category=name, camera=camera_settings, **others)
    except ValueError as error:
        errors.append(str(error))
    if errors:
        raise ValueError(" ".join(errors))
    return settings


def _source(
    category: str, split: str, meshes: Path | None, share: float, version: int
) -> InstanceSource:
    """What makes the objects: code, listed meshes, or both.

    Meshes that may serve for training make training sets, changed at random; the others make all
    other sets, as they are, one after the other.
    """
    from kp3d_core.data.generate import ProceduralSource, procedural_source
    from kp3d_core.data.objects import object_category
    from kp3d_core.data.procedural import check_version
    from kp3d_core.objects.meshes.mesh_list import read_mesh_list
    from kp3d_core.objects.meshes.source import MeshSource
    from kp3d_core.objects.meshes.variation import Variation

    check_version(version)
    built_in = procedural_source if version == 1 else ProceduralSource(version)
    if meshes is None:
        source = object_category(category).source(split)
        return built_in if source is procedural_source else source
    listed = read_mesh_list(meshes, category, split)
    variation = Variation() if split == "train" else None
    return MeshSource(listed, variation, share, built_in)


@contextmanager
def _interrupt_once() -> Iterator[None]:
    """Let only the first Ctrl-C through, so that a second one cannot disturb the cleaning up."""
    previous = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
