"""Table 1 and Figure 2 of the paper: supervised or discovered keypoints, with which orientation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kp3d_core.evaluation.figures import write_histograms
from kp3d_core.files import exclusive_lock, write_json, write_text
from kp3d_core.provenance import provenance
from kp3d_core.reproduce.measure import Result
from kp3d_core.reproduce.paper import TABLE1
from kp3d_core.reproduce.reproduction import Reproduction, Results, Row

_COMMON = "table1/common.yaml"
ORIENTATION = Row(
    "orientation", "orientation network of b and c", (_COMMON, "table1/orientation.yaml")
)
ROWS = (
    Row(
        "supervised",
        "a) supervised",
        (_COMMON, "table1/supervised.yaml"),
        has_flag=False,
        supervised=True,
    ),
    Row(
        "supervised_onet",
        "b) supervised, pretrained orientation",
        (_COMMON, "table1/supervised_onet.yaml"),
        supervised=True,
        orientation=ORIENTATION,
    ),
    Row(
        "ours_onet",
        "c) ours, pretrained orientation",
        (_COMMON, "table1/ours_onet.yaml"),
        orientation=ORIENTATION,
    ),
    Row("ours", "d) ours", (_COMMON, "table1/ours.yaml")),
)


def write_table(made: Reproduction) -> None:
    """Write table1.md, table1.json and figure2.png from what has been measured."""
    with exclusive_lock(made.output, wait=True):
        results = made.results()
        write_json(made.output / "table1.json", _content(made, results))
        write_text(made.output / "table1.md", _markdown(made, results))
        if results:
            _write_figure2(made.output / "figure2.png", results)


def _content(made: Reproduction, results: Results) -> dict[str, Any]:
    return {
        "settings": made.settings.to_dict(),
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


def _markdown(made: Reproduction, results: Results) -> str:
    settings = made.settings
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
