"""`kp3d replay`: what the node would say about a recorded bag, without ROS."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kp3d_ros.settings import Settings, unknown_settings


def replay(
    bag: Annotated[Path, typer.Argument(help="Folder of a rosbag2 bag (sqlite3 or mcap).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the bag to write.")],
    model: Annotated[str, typer.Option(help="Shipped model or model file.")] = "car",
    object_size: Annotated[
        float, typer.Option(help="Longest dimension of the object [m]; 0: not known.")
    ] = 0.0,
    image: Annotated[str, typer.Option(help="Topic; by default the only one.")] = "",
    camera_info: Annotated[str, typer.Option(help="Topic; by default beside the image.")] = "",
    detections: Annotated[str, typer.Option(help="Topic of a 2D detector.")] = "",
    depth: Annotated[str, typer.Option(help="Topic of registered depth images.")] = "",
    node: Annotated[str, typer.Option(help="Name of the node in the topics.")] = "/detector",
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", help="Parameter of the node, NAME=VALUE in YAML."),
    ] = None,
    with_input: Annotated[bool, typer.Option(help="Copy the bag's own messages, too.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing output.")] = False,
) -> None:
    """Write a bag with the keypoints, poses and TF that the node finds in another bag."""
    console = Console(stderr=True)
    try:
        values = {"model": model, "object_size": object_size, "use_depth": bool(depth)}
        settings = _settings({**values, **_parsed(parameter or [])})
        if output.exists() and overwrite:
            shutil.rmtree(output)
        if output.exists():
            raise ValueError(f"{output} must not exist yet. Choose another, or add --overwrite.")
        _run(
            bag,
            output,
            settings,
            (image, camera_info, detections, depth),
            node,
            with_input,
            console,
        )
    except ValueError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        raise typer.Exit(1) from None


def _run(
    bag: Path,
    output: Path,
    settings: Settings,
    topics: tuple[str, str, str, str],
    node: str,
    with_input: bool,
    console: Console,
) -> None:
    try:
        import rosbags.rosbag2
    except ImportError as error:
        raise ValueError(
            f"Replaying needs the package rosbags ({error}): pip install 'kp3d[replay]'."
        ) from None
    # A process has the message classes of ROS or these: here always these, with or without ROS.
    from kp3d_ros.replay.standins import install

    store = install()
    from kp3d_ros.replay.replay import replay as run
    from kp3d_ros.replay.topics import Topics

    columns = (TextColumn("Images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    state = None
    try:
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=None)
            states = run(
                bag, output, settings, Topics(*topics), store, node=node, with_input=with_input
            )
            for state in states:
                bar.update(task, total=state.total, completed=state.images)
    except (rosbags.rosbag2.ReaderError, OSError) as error:
        raise ValueError(f"{bag} must be a rosbag2 bag: {error}") from None
    if state is None:
        raise ValueError(f"{bag} holds no image on the chosen topic.")
    for problem, count in (state.problems or {}).items():
        console.print(f"[yellow]{count} x[/] {escape(problem)}", highlight=False)
    console.print(f"Found {state.found} objects in {state.images} images; wrote {output}.")


def _settings(values: dict[str, Any]) -> Settings:
    problems = list(unknown_settings(values))
    if problems:
        raise ValueError(" ".join(problems))
    return Settings().replace(values)


def _parsed(texts: list[str]) -> dict[str, Any]:
    import yaml

    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--parameter must be NAME=VALUE, got '{text}'.")
        values[name] = yaml.safe_load(value)
    return values
