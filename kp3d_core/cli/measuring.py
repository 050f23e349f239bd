"""What benchmark commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown

from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_file, write_json


def _checked(path: Path | None) -> Path | None:
    with user_errors():
        if path is not None:
            check_output_file(path)
    return path


JsonFile = Annotated[
    Path | None, typer.Option("--json", help="File for all figures.", callback=_checked)
]
"""Option that is refused before anything is measured, if it cannot be written."""


def run_benchmark(
    measure: Callable[..., dict[str, Any]], settings: Any, json_file: Path | None
) -> None:
    """Measure, tell what is at work, write the result to a file and print it."""
    from kp3d_core.benchmark.report import section

    with Console(stderr=True).status("measuring") as status:
        result = measure(settings, lambda what: status.update(f"measuring: {what}"))
    if json_file is not None:
        write_json(json_file, result)
    console = Console(markup=False)
    if console.is_terminal:
        console.print(Markdown(section(result)))
    else:
        typer.echo(section(result))
