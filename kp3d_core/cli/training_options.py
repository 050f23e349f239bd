"""Options that the commands that train have in common."""

from __future__ import annotations

from typing import Annotated

import typer

Threads = Annotated[int | None, typer.Option(help="CPU threads.", show_default="all cores")]
Jobs = Annotated[
    int | None, typer.Option(help="Processes that render.", show_default="all CPU cores")
]
MaxTime = Annotated[
    str | None,
    typer.Option(
        metavar="HH:MM:SS",
        help="Stop in time, with a checkpoint to go on from.",
        show_default="no limit",
    ),
]
