"""`kp3d replay`: what the node would say about a recorded bag, without ROS."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kp3d_ros.settings import Settings, unknown_settings

_NAMED = 5
"""Images without an answer that are named for each reason."""


def replay(
    bag: Annotated[Path, typer.Argument(help="Folder or file of a rosbag2 bag (sqlite3 or mcap).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the bag to write.")],
    model: Annotated[str, typer.Option(help="Shipped model or model file.")] = "car",
    object_size: Annotated[
        float, typer.Option(help="Longest dimension of the object [m]; 0: not known.")
    ] = 0.0,
    image: Annotated[str, typer.Option(help="Topic; by default the only one.")] = "",
    camera_info: Annotated[str, typer.Option(help="Topic; by default beside the image.")] = "",
    detections: Annotated[str, typer.Option(help="Topic of a 2D detector.")] = "",
    depth: Annotated[str, typer.Option(help="Topic of registered depth images.")] = "",
    max_wrong: Annotated[
        float, typer.Option(help="Largest share of wrong objects among those told.")
    ] = Settings.max_wrong,
    node: Annotated[str, typer.Option(help="Name of the node in the topics.")] = "/detector",
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", help="Parameter of the node, NAME=VALUE in YAML."),
    ] = None,
    with_input: Annotated[bool, typer.Option(help="Copy the bag's own messages, too.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing bag.")] = False,
) -> None:
    """Write a bag with the keypoints, poses and TF that the node finds in another bag."""
    console = Console(stderr=True)
    try:
        values = {
            "model": model,
            "object_size": object_size,
            "use_depth": bool(depth),
            "max_wrong": max_wrong,
        }
        settings = _settings({**values, **_parsed(parameter or [])})
        topics = image, camera_info, detections, depth
        _run(bag, output, settings, topics, node, with_input, overwrite, console)
    except (ValueError, OSError, sqlite3.Error) as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("Interrupted: nothing was written.")
        raise typer.Exit(130) from None


def _run(
    source: Path,
    output: Path,
    settings: Settings,
    topics: tuple[str, str, str, str],
    node: str,
    with_input: bool,
    overwrite: bool,
    console: Console,
) -> None:
    try:
        import rosbags.rosbag2  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"Replaying needs the package rosbags ({error}): pip install 'kp3d[replay]'."
        ) from None
    # A process has the message classes of ROS or these: here always these, with or without ROS.
    from kp3d_ros.replay.standins import install

    store = install()
    from kp3d_ros.replay.bags import check_output, open_bag
    from kp3d_ros.replay.replay import Replay
    from kp3d_ros.replay.topics import Topics

    columns = (TextColumn("Images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with open_bag(source) as bag:
        check_output(output, bag, overwrite=overwrite)
        replay = Replay(bag, settings, Topics(*topics), store)
        state = replay.progress
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=state.total)
            for _ in replay.write(output, node=node, with_input=with_input):
                bar.update(task, completed=state.images)
    for line in _told(state):
        console.print(escape(line), style="yellow", highlight=False)
    console.print(
        f"Found {state.found} objects in {state.answered} images; wrote {output}.", markup=False
    )


def _told(state: Any) -> Iterator[str]:
    """What a user should know beside the result, worst first."""
    missing = state.images - state.answered
    if missing:
        yield f"{missing} of {state.images} images got no answer:"
    for reason, times_ns in state.unanswered.items():
        times = ", ".join(f"{ns // 10**9}.{ns % 10**9:09d}" for ns in times_ns[:_NAMED])
        more = f" and {len(times_ns) - _NAMED} more" if len(times_ns) > _NAMED else ""
        yield f"{len(times_ns)} x {reason} Recorded at {times}{more} s."
    for problem, count in state.problems.items():
        yield f"{count} x {problem}"
    yield from state.notes


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
