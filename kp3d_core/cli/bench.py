"""`kp3d bench`: measure speed, with the baseline in the same run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kp3d_core.cli.errors import user_errors
from kp3d_core.cli.measuring import JsonFile, measured
from kp3d_core.cli.numbers import whole_numbers
from kp3d_core.files import check_output_file

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
        bool, typer.Option(help="Measure growth with input size and objects, too.")
    ] = True,
    dope: Annotated[bool, typer.Option(help="Measure a network of DOPE's shape, too.")] = True,
    json_file: JsonFile = None,
) -> None:
    """Latency and throughput per engine, precision and batch; baseline: eager PyTorch."""
    with user_errors():
        from kp3d_core.benchmark.contenders import usual_contenders
        from kp3d_core.benchmark.engines import EngineBenchSettings, bench_engines

        settings = EngineBenchSettings(
            model=model,
            engines=tuple(engines.split(",")) if engines else usual_contenders(),
            precisions=tuple(precisions.split(",")),
            batches=whole_numbers("batches", batches),
            threads=threads,
            pin_threads=pin,
            seconds=seconds,
            growth=growth,
            dope=dope,
        )
        result = measured(bench_engines, settings, json_file)
    _print_engines(result)


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
    """Images per second of a training step and its stages; baseline: eager float32 `paper`."""
    with user_errors():
        from kp3d_core.benchmark.training import TrainBenchSettings, bench_train

        settings = TrainBenchSettings(
            config=config or TrainBenchSettings.config,
            threads=threads,
            steps=steps,
            plain_steps=plain_steps,
        )
        result = measured(bench_train, settings, json_file)
    _print_training(result)


@bench.command()
def render(
    categories: Annotated[str, typer.Option(help="With commas.")] = "car,chair,mug,plane",
    sizes: Annotated[str, typer.Option(help="Image sizes, with commas.")] = "64,128,256",
    jobs: Annotated[
        str | None, typer.Option(help="Processes, with commas.", show_default="1 and all cores")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Least length of each measurement.")] = 3.0,
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
        )
        result = measured(bench_render, settings, json_file)
    _print_rendering(result)


@bench.command()
def report(
    results: Annotated[list[Path], typer.Argument(help="JSON files of `kp3d bench`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write.")] = Path(
        "docs/performance.md"
    ),
) -> None:
    """Write the page of measured figures, with a plot beside it."""
    with user_errors(OSError):
        from kp3d_core.benchmark.report import write_report

        check_output_file(output, *results)
        write_report([json.loads(path.read_text()) for path in results], output)
    typer.echo(f"Written: {output}")


def _print_machine(result: dict[str, Any]) -> Console:
    machine, console = result["machine"], Console(markup=False)
    console.print(
        f"{machine['cpu']}, {result['threads']} threads, matrix product "
        f"{result['peak_gflops']:.0f} GFLOP/s, load before {machine['load_before']:.1f}; baseline "
        f"{result['baseline']['p50_ms']:.0f} ms"
    )
    return console


def _print_training(result: dict[str, Any]) -> None:
    from kp3d_core.benchmark.training import STAGES

    console = _print_machine(result)
    rows = result["rows"]
    table = Table("", *(f"{row['config']}, {row['precision']}" for row in rows))
    table.add_row("network input [px]", *(str(row["input_size"]) for row in rows))
    table.add_row("images/s", *(f"{row['images_per_s']:.1f}" for row in rows))
    table.add_row("step [ms]", *(f"{row['step_ms']:.0f}" for row in rows), end_section=True)
    for stage in STAGES:
        table.add_row(stage, *(f"{row['shares'][stage]:.1%}" for row in rows))
    console.print(table)
    console.print(f"{result['ratios']['train_over_plain']:.0f} times the plain form")


def _print_rendering(result: dict[str, Any]) -> None:
    console = _print_machine(result)
    table = Table("category", "px", "processes", "images/s")
    for row in result["rows"]:
        table.add_row(
            row["category"], str(row["image_size"]), str(row["jobs"]), f"{row['images_per_s']:.0f}"
        )
    console.print(table)
    console.print(result["blender"])


def _print_engines(result: dict[str, Any]) -> None:
    from kp3d_core.benchmark.report import RATIOS, all_rows

    console = _print_machine(result)
    table = Table("network", "px", "engine", "precision", "batch", "p50 ms", "p99 ms", "images/s",
                  "of peak")  # fmt: skip
    for row in all_rows(result):
        table.add_row(
            row["network"],
            str(row["input_size"]),
            row["name"],
            row["precision"],
            str(row["batch"]),
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['images_per_s']:.1f}",
            f"{row['gflops'] / result['peak_gflops']:.0%}",
        )
    console.print(table)
    for name, text in RATIOS.items():
        if name in result["ratios"]:
            console.print(f"{result['ratios'][name]:8.1f}  {text}")
    reasons = sorted(set(result["missing"].values()))
    for reason in reasons:
        console.print(f"Not measured: {reason}", style="yellow")
