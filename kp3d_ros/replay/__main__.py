"""`python -m kp3d_ros.replay`: the same as `kp3d replay`."""

import typer

from kp3d_ros.replay.command import replay

if __name__ == "__main__":
    # Without markup, which would take units in help texts for styles.
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(replay)
    app()
