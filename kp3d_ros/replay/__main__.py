"""`python -m kp3d_ros.replay`: the same as `kp3d replay`."""

import typer

from kp3d_ros.replay.command import replay

if __name__ == "__main__":
    typer.run(replay)
