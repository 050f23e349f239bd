"""`kp3d robustness`: measure a model file beyond the paper's images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kp3d_core.cli.bars import bars_by_part
from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_folder


def robustness(
    model: Annotated[str, typer.Argument(help="Path of an .onnx model file or a shipped name.")],
    output: Annotated[Path, typer.Option(help="Folder for tables, curves and pictures.")],
    instances: Annotated[int, typer.Option(help="Objects, new to every model.")] = 20,
    views: Annotated[int, typer.Option(help="Views of each object at each value.")] = 8,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure this part only, may be repeated: backgrounds, fov, elevation, roll, "
            "size, truncation, occlusion, deformation.",
            show_default="all",
        ),
    ] = None,
    looks: Annotated[
        int | None,
        typer.Option(
            help="Looks that the detector takes at an object at most.",
            show_default="as on a robot",
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="Inference engine, or auto.")] = "auto",
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of views, backgrounds and pairs.")] = 0,
) -> None:
    """Measure backgrounds, light, field of view, elevation, roll, size, occlusion, deformation."""
    with user_errors():
        from kp3d_core.evaluation.robustness.measure import (
            PARTS,
            RobustnessSettings,
            measure_robustness,
        )

        check_output_folder(output)
        settings = RobustnessSettings(
            instances=instances,
            views=views,
            parts=tuple(only) if only else PARTS,
            looks=RobustnessSettings.looks if looks is None else looks,
            seed=seed,
        )
        with bars_by_part() as show:
            result = measure_robustness(model, output, settings, engine, device, show)
    if "backgrounds" in result:
        Console(markup=False).print(_table(result))
    typer.echo(f"Written to {output}: robustness.md, robustness.json, curves and pictures.")


def _table(result: dict[str, Any]) -> Table:
    table = Table(title=f"{result['model']['name']}: {result['backgrounds']['pairs']} pairs")
    for name in ("", "relative, mean [deg]", "median [deg]", "front/back [%]"):
        table.add_column(name, justify="right")
    for name, figures in result["backgrounds"]["conditions"].items():
        table.add_row(
            name,
            f"{figures['relative_mean_deg']:.2f}",
            f"{figures['relative_median_deg']:.2f}",
            f"{100 * figures['flag_accuracy']:.1f}",
        )
    return table
