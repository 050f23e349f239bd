"""`kp3d bench node`: the node as a robot runs it, measured from outside."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kp3d_core.cli.errors import user_errors
from kp3d_core.cli.measuring import JsonFile, run_benchmark
from kp3d_ros.bench.settings import NodeBenchSettings, parse_resolutions


def node(
    model: Annotated[
        str, typer.Option(help="Shipped model or model file that finds cars.")
    ] = "car",
    engine: Annotated[str, typer.Option(help="Parameter of the node.")] = "auto",
    device: Annotated[str, typer.Option(help="Parameter of the node.")] = "auto",
    precision: Annotated[str, typer.Option(help="Parameter of the node.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads of the engine.")] = 2,
    resolutions: Annotated[
        str, typer.Option(help="Image sizes, with commas.")
    ] = "640x480,1280x720,1920x1080",
    seconds: Annotated[float, typer.Option(help="Length of the measurement at 30 Hz.")] = 10.0,
    trial: Annotated[float, typer.Option(help="Length of each trial of the highest rate.")] = 3.0,
    json_file: JsonFile = None,
) -> None:
    """Latency, overhead and highest rate of the real node per image size; start and memory."""
    with user_errors(RuntimeError, OSError):
        settings = NodeBenchSettings(
            model=model,
            engine=engine,
            device=device,
            precision=precision,
            threads=threads,
            resolutions=parse_resolutions(resolutions),
            seconds=seconds,
            trial_s=trial,
        )
        run_benchmark(_load(), settings, json_file)


def _load() -> Any:
    """What measures; refuses with what to install where ROS or PyTorch is missing."""
    try:
        import rclpy  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"`kp3d bench node` must run where ROS 2 is, but rclpy cannot be imported ({error}). "
            "Source ROS 2 and the workspace of kp3d_ros, or run `make train-env` and use "
            ".venv/bin/kp3d."
        ) from None
    try:
        from kp3d_ros.bench.node_bench import bench_node
    except ImportError as error:
        raise ValueError(
            f"`kp3d bench node` measures its baseline in PyTorch and renders its images, but "
            f"{error}. Run `make train-env`, or pip install 'kp3d[train]'."
        ) from None
    return bench_node
