"""`kp3d doctor`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kp3d_ros.doctor.report import SECONDS, print_report


def doctor(
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Model file to check, too.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.0, help="How long to look at running topics, in seconds.")
    ] = SECONDS,
) -> None:
    """Say what works here and what does not: engines, models, ROS 2, middleware, topics, nodes.

    Ends with status 1 if there is a problem.
    """
    raise typer.Exit(int(print_report(model or [], seconds, coloured=sys.stdout.isatty()) > 0))
