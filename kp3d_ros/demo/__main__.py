"""`python -m kp3d_ros.demo`: the same as `kp3d demo`."""

import typer

from kp3d_ros.demo.command import demo

if __name__ == "__main__":
    typer.run(demo)
