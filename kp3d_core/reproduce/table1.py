"""Table 1 and Figure 2 of the paper: supervised or discovered keypoints, with which orientation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kp3d_core.evaluation.figures import write_histograms
from kp3d_core.files import atomic_writer
from kp3d_core.provenance import provenance
from kp3d_core.reproduce.measure import Result
from kp3d_core.reproduce.paper import TABLE1
from kp3d_core.reproduce.runner import Results, Row, Runner
from kp3d_core.reproduce.settings import claim, write_json

_COMMON = "table1/common.yaml"
ORIENTATION = Row(
    "orientation", "orientation network of b and c", (_COMMON, "table1/orientation.yaml")
)
ROWS = (
    Row("supervised", "a) supervised", (_COMMON, "table1/supervised.yaml"), has_flag=False),
    Row(
        "supervised_onet",
        "b) supervised, pretrained orientation",
        (_COMMON, "table1/supervised_onet.yaml"),
    ),
    Row("ours_onet", "c) ours, pretrained orientation", (_COMMON, "table1/ours_onet.yaml")),
    Row("ours", "d) ours", (_COMMON, "table1/ours.yaml")),
)
_SUPERVISED = ("supervised", "supervised_onet")
_PRETRAINED = ("supervised_onet", "ours_onet")


def reproduce_table1(runner: Runner, categories: Sequence[str]) -> None:
    """Make the table of some categories, or finish it; rows of others in the folder are kept.

    The table is written after each row, so that an interrupted run leaves what it has.
    """
    claim(runner.output, "table1", runner.settings)
    for category in categories:
        with runner.category(category):
            orientation = runner.train(category, ORIENTATION)
            for row in ROWS:
                overrides = []
                if row.name in _SUPERVISED:
                    overrides.append(f"--model.num_keypoints={runner.num_landmarks(category)}")
                if row.name in _PRETRAINED:
                    overrides.append(f"--model.orientation_checkpoint={orientation}")
                runner.train(category, row, overrides)
                if runner.measure(category, row):
                    write_table(runner)
    write_table(runner)


def write_table(runner: Runner) -> None:
    """Write table1.md, table1.json and figure2.png from what has been measured."""
    with runner.report() as folder:
        results = runner.results(ROWS)
        write_json(folder / "table1.json", _content(runner, results))
        with atomic_writer(folder / "table1.md") as stream:
            stream.write(_markdown(runner, results).encode())
        _write_figure2(folder / "figure2.png", results)


def _content(runner: Runner, results: Results) -> dict[str, Any]:
    return {
        "settings": runner.settings.to_dict(),
        "rows": {
            category: {name: result.figures for name, result in rows.items()}
            for category, rows in results.items()
        },
        "paper_shapenet": {
            category: {name: figures._asdict() for name, figures in rows.items()}
            for category, rows in TABLE1.items()
        },
        "provenance": provenance(),
    }


def _markdown(runner: Runner, results: Results) -> str:
    settings = runner.settings
    lines = [
        "# Table 1, reproduced",
        "",
        f"Every row: {settings.budget} training steps; b and c besides were given an orientation "
        f"network of {settings.budget} steps of its own. Rendered views of the built-in "
        f"categories with the paper's camera (instances x views): {settings.train} for training, "
        f"{settings.test} unseen ones for the test, {settings.pairs} pairs of views each. "
        "No noise, predicted flags.",
        "",
        "Mean and median: error of the relative rotation [deg]. 3D-SE: RMS distance of a keypoint "
        "from its own mean place on the same object [model units; the object spans 2], over views "
        "in pairs with at most 90 deg of error; the paper does not define its own. Flag: share of "
        "views whose front and back are told apart; - where the method does not tell.",
        "",
        "In italics, the paper's figures: **from ShapeNet**, other objects and another budget "
        "(200,000 steps of 256 images).",
    ]
    if settings.overrides:
        lines += ["", "Changed in every training: `" + " ".join(settings.overrides) + "`."]
    for category, rows in results.items():
        lines += ["", f"## {category}", "", *_category_lines(category, rows)]
    return "\n".join(lines) + "\n"


def _category_lines(category: str, rows: dict[str, Result]) -> list[str]:
    lines = [
        "| method | images | mean | median | 3D-SE | flag "
        "| *ShapeNet: mean* | *median* | *3D-SE* |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        cells = [row.title, *_figures(rows.get(row.name))]
        paper = TABLE1.get(category, {}).get(row.name)
        cells += (
            [f"*{paper.mean_deg:.3f}*", f"*{paper.median_deg:.3f}*", f"*{paper.spread_3d:.3f}*"]
            if paper
            else [""] * 3
        )
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _figures(result: Result | None) -> list[str]:
    if result is None:
        return ["not yet", "", "", "", ""]
    figures = result.figures
    rotation, flag, spread = (figures[k] for k in ("rotation_deg", "flag_accuracy", "spread_3d"))
    return [
        f"{figures['images']:,}",
        f"{rotation['mean']:.2f}",
        f"{rotation['median']:.2f}",
        "-" if spread is None else f"{spread:.3f}",
        "-" if flag is None else f"{100 * flag:.1f} %",
    ]


def _write_figure2(path: Path, results: Results) -> None:
    nothing = np.zeros(0)
    write_histograms(
        path,
        [
            [
                (
                    f"{category}, {row.title}",
                    rows[row.name].rotation_deg if row.name in rows else nothing,
                )
                for row in ROWS
            ]
            for category, rows in results.items()
        ],
    )
