"""`kp3d bench`: measure speed, with the baseline in the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.errors import user_errors
from kp3d_core.cli.measuring import JsonFile, run_benchmark
from kp3d_core.cli.numbers import whole_numbers

bench = typer.Typer(help="Measure speed, each time with a baseline.", no_args_is_help=True)


@bench.command()
def engine(
    model: Annotated[str, typer.Option(help="Model file or shipped name.")] = "car",
    engines: Annotated[
        str | None,
        typer.Option(
            help="With commas: engines, onnxruntime:cuda, torch.",
            show_default="every engine on its usual device",
        ),
    ] = None,
    precisions: Annotated[str, typer.Option(help="Precisions, with commas.")] = "fp32,fp16,int8",
    batches: Annotated[str, typer.Option(help="Batch sizes, with commas.")] = "1,4,16",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
    pin: Annotated[bool, typer.Option(help="Keep each thread on a core of its own.")] = False,
    seconds: Annotated[float, typer.Option(help="Length of each measurement.")] = 2.0,
    growth: Annotated[
        bool, typer.Option(help="Measure how time grows with the number of objects, too.")
    ] = True,
    json_file: JsonFile = None,
) -> None:
    """Latency and throughput per engine, precision and batch; baseline: eager PyTorch."""
    with user_errors():
        from kp3d_core.benchmark.engines import EngineBenchSettings, bench_engines

        settings = EngineBenchSettings(
            model=model,
            engines=tuple(engines.split(",")) if engines else EngineBenchSettings.engines,
            precisions=tuple(precisions.split(",")),
            batches=whole_numbers("batches", batches),
            threads=threads,
            pin_threads=pin,
            seconds=seconds,
            growth=growth,
        )
        run_benchmark(bench_engines, settings, json_file)


@bench.command()
def train(
    config: Annotated[
        Path | None,
        typer.Option(
            help="Settings of a step; compared with paper.yaml beside it.",
            show_default="the preset fast",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
    steps: Annotated[int, typer.Option(help="Steps that are measured.")] = 20,
    plain_steps: Annotated[int, typer.Option(help="The same of the plain form.")] = 2,
    json_file: JsonFile = None,
) -> None:
    """Images per second of a training step; baseline: eager float32 `paper`."""
    with user_errors():
        from kp3d_core.benchmark.training import TrainBenchSettings, bench_train

        settings = TrainBenchSettings(
            config=config or TrainBenchSettings.config,
            threads=threads,
            steps=steps,
            plain_steps=plain_steps,
        )
        run_benchmark(bench_train, settings, json_file)


@bench.command()
def render(
    categories: Annotated[str, typer.Option(help="With commas.")] = "car,chair,mug,plane",
    sizes: Annotated[str, typer.Option(help="Image sizes, with commas.")] = "64,128,256",
    jobs: Annotated[
        str | None, typer.Option(help="Processes, with commas.", show_default="1 and all cores")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Least length of each measurement.")] = 3.0,
    light: Annotated[str, typer.Option(help="As in `kp3d render`.")] = "overhead",
    json_file: JsonFile = None,
) -> None:
    """Images per second of `kp3d render`."""
    with user_errors():
        from kp3d_core.benchmark.rendering import RenderBenchSettings, bench_render

        settings = RenderBenchSettings(
            categories=tuple(categories.split(",")),
            sizes=whole_numbers("sizes", sizes),
            jobs=whole_numbers("jobs", jobs) if jobs else RenderBenchSettings.jobs,
            seconds=seconds,
            light=light,
        )
        run_benchmark(bench_render, settings, json_file)
