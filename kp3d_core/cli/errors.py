"""What a user can get wrong becomes one line on the terminal, not a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def user_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Turn `ValueError`, missing optional packages and `kinds` into a message and exit code 1."""
    caught: tuple[type[Exception], ...] = (ValueError, *kinds)
    try:
        yield
    except caught as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        raise typer.Exit(1) from error
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("kp3d"):
            raise
        typer.secho(
            f"Error: this command needs the package {error.name!r}, which is not installed. "
            "Install it with `make train-env`, or `pip install 'kp3d[train]'`.",
            fg="red",
            err=True,
        )
        raise typer.Exit(1) from error
