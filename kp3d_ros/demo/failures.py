"""How a demonstration ends that cannot go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape


@contextmanager
def failures_told(console: Console) -> Iterator[None]:
    """Say what failed in one sentence, and end with status 1; with 130 after Ctrl-C."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        console.print(f"[bold red]The demo failed.[/] {escape(str(error))}", highlight=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("Stopped.")
        raise typer.Exit(130) from None
