"""`kp3d demo`: the real node watches a simulated camera, and what it says is measured.

`kp3d demo grasp`: a simulated robot acts on what it says.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from kp3d_core.files import check_output_file, check_output_folder
from kp3d_ros.demo.failures import failures_told
from kp3d_ros.demo.grasp.command import grasp

if TYPE_CHECKING:
    from kp3d_ros.demo.viewer import Viewer

SEED = 30_000_006
"""The first sedan in a range of instance seeds that no training or test set touches."""


class Background(str, Enum):
    """What stands behind the car."""

    STUDIO = "studio"
    BLACK = "black"


class ViewerName(str, Enum):
    """What shows the answers when the film is over."""

    NONE = "none"
    RERUN = "rerun"


demo = typer.Typer(pretty_exceptions_enable=False)
demo.command()(grasp)


@demo.callback(invoke_without_command=True)
def watch(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
    duration: Annotated[float, typer.Option(help="Length of the film [s].")] = 15.0,
    rate: Annotated[float, typer.Option(help="Images per second [Hz].")] = 30.0,
    seed: Annotated[int, typer.Option(help="Which car.")] = SEED,
    model: Annotated[str, typer.Option(help="Model file, or name of a shipped model.")] = "car",
    background: Annotated[Background, typer.Option(help="Behind the car.")] = Background.STUDIO,
    depth: Annotated[
        bool, typer.Option("--depth", help="Simulate a depth camera, too: scale from its images.")
    ] = False,
    viewer: Annotated[
        ViewerName, typer.Option(help="Open it with the film and the node's answers at the end.")
    ] = ViewerName.NONE,
    rrd: Annotated[
        Path | None, typer.Option(help="Write what Rerun shows to this file; opens no window.")
    ] = None,
) -> None:
    """Render an unseen car, play it to the real ROS 2 node, measure the answers."""
    if context.invoked_subcommand:
        return
    if not 0 < rate <= 1000 or not 0 < duration <= 600:
        raise typer.BadParameter(
            f"--rate must be in (0, 1000] Hz and --duration in (0, 600] s, got {rate:g} and "
            f"{duration:g}."
        )
    console = Console()
    with failures_told(console):
        check_output_folder(output)
        if rrd:
            check_output_file(rrd)
        _require_ros()
        chosen = _rerun(rrd) if rrd or viewer is ViewerName.RERUN else None
        from kp3d_ros.demo.run import run

        frames = max(2, round(duration * rate))
        run(console, output, model, seed, frames, rate, background.value, depth, chosen)


def _require_ros() -> None:
    try:
        import rclpy  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"It needs ROS 2, which this Python does not find ({error}). Source ROS 2, or run "
            "`make demo`, which sets everything up."
        ) from None


def _rerun(rrd: Path | None) -> Viewer:
    """The viewer, asked for at once: what is missing should be said before the film is shot."""
    try:
        from kp3d_ros.demo.viewer import Viewer
    except ImportError as error:
        raise ValueError(
            f"The viewer needs the package rerun-sdk ({error}): pip install 'kp3d[viewer]', in a "
            "source tree .venv/bin/pip install -c constraints.txt rerun-sdk."
        ) from None
    return Viewer(rrd)
