"""`kp3d demo grasp`: a robot arm picks up mugs by the node's answers, in simulation."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kp3d_core.files import check_output_folder
from kp3d_ros.demo.failures import failures_told

NEEDED = ("pybullet", "coacd", "trimesh", "PIL")
"""Modules of the extra `grasp`."""


def grasp(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "grasp"
    ),
    trials: Annotated[int, typer.Option(help="How many mugs.", min=1)] = 20,
    first: Annotated[int, typer.Option(help="Number of the first trial, its seed.", min=0)] = 0,
    model: Annotated[str, typer.Option(help="Model file, or name of a shipped model.")] = "mug",
    true_pose: Annotated[
        bool, typer.Option("--true-pose", help="The simulator's truth in the place of the node.")
    ] = False,
    depth: Annotated[
        bool, typer.Option(help="Scale and obstacles from depth images; else the size is told.")
    ] = True,
    clutter: Annotated[
        bool, typer.Option("--clutter", help="Other objects close by; one half hides the mug.")
    ] = False,
    size_error: Annotated[
        float, typer.Option(help="Error of the size that is told, as a share.", min=-0.5, max=1)
    ] = 0.0,
    meshes: Annotated[
        list[Path] | None,
        typer.Option(help="Mug of a mesh file, upright (z), handle towards +x; may be repeated."),
    ] = None,
    mesh_up: Annotated[str, typer.Option(help="Axis of those files that points up.")] = "z",
    mesh_front: Annotated[str, typer.Option(help="Axis that points to the handle.")] = "x",
    mesh_size: Annotated[float, typer.Option(help="Longest dimension of those [m].")] = 0.12,
    backgrounds: Annotated[
        Path | None, typer.Option(help="Folder of photographs to hang behind the table.")
    ] = None,
) -> None:
    """A simulated arm picks up unseen mugs by the real node's answers; counts how often."""
    console = Console()
    with failures_told(console):
        check_output_folder(output)
        _require()
        from kp3d_ros.demo.grasp.objects import read_mug
        from kp3d_ros.demo.grasp.run import run
        from kp3d_ros.demo.grasp.trials import Settings

        if backgrounds is not None and not backgrounds.is_dir():
            raise ValueError(f"--backgrounds must be a folder of pictures, got {backgrounds}.")
        if size_error and (depth or true_pose):
            raise ValueError("--size-error needs --no-depth: nobody is told a size otherwise.")
        mugs = tuple(read_mug(path, mesh_up, mesh_front, mesh_size) for path in meshes or ())
        settings = Settings(
            trials=trials,
            first=first,
            model=model,
            true_pose=true_pose,
            use_depth=depth and not true_pose,
            clutter=clutter,
            size_error=size_error,
            mugs=mugs,
            backgrounds=backgrounds,
        )
        run(console, output, settings)


def missing() -> list[str]:
    """Modules of the extra `grasp`, and of ROS 2, that this Python does not find."""
    return [name for name in (*NEEDED, "rclpy") if importlib.util.find_spec(name) is None]


def _require() -> None:
    absent = missing()
    if "rclpy" in absent:
        raise ValueError(
            "It needs ROS 2, which this Python does not find. Source ROS 2, or run `make demo`, "
            "which sets everything up."
        )
    if absent:
        raise ValueError(
            f"It needs {', '.join(absent)}, not installed here: pip install 'kp3d[grasp]', in a "
            "source tree .venv/bin/pip install -c constraints.txt -e '.[grasp]'."
        )
