"""`kp3d bench`: measure speed, with the baseline in the same run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kp3d_core.cli.errors import user_errors

bench = typer.Typer(help="Measure speed, each time with a baseline.", no_args_is_help=True)


@bench.command()
def engine(
    model: Annotated[str, typer.Option(help="Model file or shipped name.")] = "car",
    engines: Annotated[
        str | None, typer.Option(help="Engines, with commas.", show_default="all")
    ] = None,
    precisions: Annotated[str, typer.Option(help="Precisions, with commas.")] = "fp32,fp16,int8",
    batches: Annotated[str, typer.Option(help="Batch sizes, with commas.")] = "1,4,16",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
    pin: Annotated[bool, typer.Option(help="Keep each thread on a core of its own.")] = False,
    seconds: Annotated[float, typer.Option(help="Length of each measurement.")] = 2.0,
    dope: Annotated[bool, typer.Option(help="Measure a network of DOPE's shape, too.")] = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for all figures.")] = None,
) -> None:
    """Latency and throughput per engine, precision and batch; baseline: eager PyTorch."""
    with user_errors():
        from kp3d_core.benchmark.engines import EngineBenchSettings, bench_engines
        from kp3d_core.inference import engine_names

        settings = EngineBenchSettings(
            model=model,
            engines=tuple(engines.split(",")) if engines else engine_names(),
            precisions=tuple(precisions.split(",")),
            batches=_numbers(batches),
            threads=threads,
            pin_threads=pin,
            seconds=seconds,
            dope=dope,
        )
        console = Console(stderr=True)
        with console.status("measuring") as status:
            result = bench_engines(settings, lambda what: status.update(f"measuring: {what}"))
        if json_file is not None:
            json_file.write_text(json.dumps(result, indent=2) + "\n")
    _print(result)


@bench.command()
def report(
    results: Annotated[list[Path], typer.Argument(help="JSON files of `kp3d bench engine`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write.")] = Path(
        "docs/performance.md"
    ),
) -> None:
    """Write the page of measured figures, with a plot beside it."""
    with user_errors(OSError):
        from kp3d_core.benchmark.report import write_report

        write_report([json.loads(path.read_text()) for path in results], output)
    typer.echo(f"Written: {output}")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(
            f"batches must be whole numbers with commas between, got {text!r}. For example: 1,4,16"
        ) from error


def _print(result: dict[str, Any]) -> None:
    from kp3d_core.benchmark.report import RATIOS, all_rows

    machine, console = result["machine"], Console()
    console.print(
        f"{machine['cpu']}, {result['settings']['threads']} threads, matrix product "
        f"{result['peak_gflops']:.0f} GFLOP/s, load before {machine['load_before']:.1f}"
    )
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
        console.print(f"Not measured: {reason}", style="yellow", markup=False)
