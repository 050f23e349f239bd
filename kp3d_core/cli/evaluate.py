"""`kp3d evaluate`: measure a model file on rendered objects or labelled photographs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kp3d_core.cli.bars import bars_by_part
from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_folder


def evaluate(
    model: Annotated[str, typer.Argument(help="Path of an .onnx model file or a shipped name.")],
    data: Annotated[
        Path,
        typer.Argument(help="Folder made by `kp3d render --split test`, or labelled photographs."),
    ],
    output: Annotated[Path, typer.Option(help="Folder for metrics.json and pictures.")],
    engine: Annotated[str, typer.Option(help="Inference engine, or auto.")] = "auto",
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    precision: Annotated[
        str | None, typer.Option(help="fp32, fp16 or int8; default: the file's own.")
    ] = None,
    pairs: Annotated[int, typer.Option(help="Random pairs of views of each object.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the choice of pairs.")] = 0,
    looks: Annotated[
        int | None,
        typer.Option(
            help="Photographs: most looks at an object.", show_default="the detector's default"
        ),
    ] = None,
    search: Annotated[
        bool,
        typer.Option(
            "--search",
            help="Photographs: give no boxes; tell which objects are found in the whole image.",
        ),
    ] = False,
    backgrounds: Annotated[
        Path | None,
        typer.Option(
            help="Renders: folder of photographs to put behind the objects.", show_default="black"
        ),
    ] = None,
    sensor: Annotated[
        bool,
        typer.Option("--sensor", help="Renders: add a camera's faults: blur, exposure, noise ..."),
    ] = False,
) -> None:
    """Measure a model: on renders as in the KeypointNet paper, on photographs with boxes given."""
    with user_errors():
        from kp3d_core.evaluation.photographs.reading import has_labels

        check_output_folder(output)
        if search:
            from kp3d_core.evaluation.photographs.search import evaluate_search

            with bars_by_part() as show:
                metrics = evaluate_search(
                    model,
                    data,
                    output,
                    engine,
                    precision,
                    device=device,
                    on_progress=partial(show, "searching"),
                )
            Console(markup=False).print(_search_table(metrics))
            typer.echo(f"Written to {output}: search.json")
            return
        if has_labels(data):  # needs no torch
            from kp3d_core.evaluation.photographs.measure import evaluate_photographs

            with bars_by_part() as show:
                metrics = evaluate_photographs(
                    model,
                    data,
                    output,
                    engine,
                    precision,
                    looks,
                    device=device,
                    on_progress=partial(show, "looking"),
                )
            table, pictures = _photograph_table(metrics), "photographs.png"
        else:
            from kp3d_core.evaluation import evaluate as evaluation

            with bars_by_part() as show:
                metrics = evaluation.evaluate(
                    model,
                    data,
                    output,
                    engine,
                    pairs,
                    seed,
                    partial(show, "predicting"),
                    precision,
                    device,
                    backgrounds,
                    sensor,
                )
            table, pictures = _table(metrics), "pictures: histogram, views, instances, failures"
    Console(markup=False).print(table)
    typer.echo(f"Written to {output}: metrics.json and {pictures}")


def _search_table(metrics: dict[str, Any]) -> Table:
    recall = metrics["recall"]
    title = f"{metrics['model']['name']} in {metrics['images']} whole photographs, no boxes given"
    rows = {
        "objects large and visible enough": str(metrics["objects"]),
        "found of them [%]": "-" if recall is None else f"{100 * recall:.0f}",
        "false finds": str(metrics["false"]),
        "false finds per image": f"{metrics['false_per_image']:.2f}",
    }
    return _two_columns(title, rows)


def _photograph_table(metrics: dict[str, Any]) -> Table:
    azimuth, rotation = metrics["azimuth_deg"], metrics["rotation_deg"]
    wrong = metrics["wrong_among_accepted"]
    title = (
        f"{metrics['model']['name']} on {metrics['count']} objects in photographs, boxes given, at "
        f"most {metrics['looks']} looks"
    )
    rows = {
        "azimuth error, mean / median [deg]": f"{azimuth['mean']:.1f} / {azimuth['median']:.1f}",
        "azimuth within 15 / 30 deg [%]": (
            f"{100 * azimuth['within_15']:.0f} / {100 * azimuth['within_30']:.0f}"
        ),
        "rotation error, median [deg]": f"{rotation['median']:.1f}",
        "rotation within 30 deg [%]": f"{100 * rotation['within_30']:.0f}",
        "orientation similarity": f"{metrics['orientation_similarity']:.3f}",
        "translation error, median [% of distance]": (
            f"{100 * metrics['translation']['median']:.0f}"
        ),
        "accepted [%]": f"{100 * metrics['accepted']:.0f}",
        "wrong (> 30 deg) among accepted [%]": "-" if wrong is None else f"{100 * wrong:.0f}",
    }
    return _two_columns(title, rows)


def _table(metrics: dict[str, Any]) -> Table:
    engine, rotation = metrics["engine"], metrics["rotation_deg"]
    title = (
        f"{metrics['model']['name']} on {metrics['pairs']} pairs, {engine['name']} "
        f"{engine['precision']}"
    )
    rows = {
        "relative rotation, mean [deg]": f"{rotation['mean']:.2f}",
        "relative rotation, median [deg]": f"{rotation['median']:.2f}",
        "pairs within 5 / 10 / 30 deg [%]": " / ".join(
            f"{100 * rotation[f'within_{limit}']:.1f}" for limit in (5, 10, 30)
        ),
        "absolute rotation, median [deg]": f"{metrics['absolute_rotation_deg']['median']:.2f}",
        "flag accuracy [%]": f"{100 * metrics['flag_accuracy']:.2f}",
        "spread_3d [model units]": f"{metrics['spread_3d']:.3f}",
        "extent x / y / z [model units]": " / ".join(
            f"{metrics['extent'][axis]:.2f}" for axis in "xyz"
        ),
        "consistency [px]": f"{metrics['consistency_px']:.2f}",
        **_beyond_the_paper(metrics),
    }
    return _two_columns(title, rows)


def _two_columns(title: str, rows: dict[str, str]) -> Table:
    table = Table(title=title)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _beyond_the_paper(metrics: dict[str, Any]) -> dict[str, str]:
    """Rows on landmarks, uncertainty and equivariance."""
    rows = {}
    if "semantics" in metrics:
        semantics, share = metrics["semantics"], metrics["extent_share"]
        rows["extent x / y / z, share of landmarks' [%]"] = " / ".join(
            f"{100 * share[axis]:.0f}" for axis in "xyz"
        )
        for name, figures in (("keypoints", semantics), ("landmarks", semantics["landmarks"])):
            rows[f"{name} relative to landmarks, RMS (if frozen) [model units]"] = (
                f"{figures['rms']:.3f} ({figures['rms_frozen']:.3f})"
            )
    uncertainty = metrics["uncertainty"]
    rows["NEES of keypoints (3 is honest)"] = _number(uncertainty["keypoints"]["mean"])
    for name in ("absolute", "relative"):
        pose = uncertainty[name]
        rows[f"NEES of {name} rotation / translation (3) / pose (6)"] = " / ".join(
            _number(pose[part]["mean"]) for part in ("rotation", "translation", "pose")
        )
    for axis, figures in metrics["equivariance"].items():
        if figures["views"]:
            rows[f"error after a shift along {axis} by 1 / 4 / 8 px, mean [px]"] = " / ".join(
                _number(figures["mean_px"][shift - 1]) for shift in (1, 4, 8)
            )
    return rows


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
