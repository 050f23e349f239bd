"""The `kp3d` command."""

from __future__ import annotations

import typer

from kp3d_core.cli.render import render

app = typer.Typer(
    name="kp3d",
    help="Semantic 3D keypoints from one RGB image: make data, train, export, evaluate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


app.command()(render)


@app.callback()
def _root() -> None:
    """Keep `kp3d` a group of commands even while there is only one."""


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
