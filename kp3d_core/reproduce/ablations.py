"""Figure 6 of the paper with numbers: what each loss is for, by leaving it out."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.figures import draw_keypoints
from kp3d_core.files import exclusive_lock, write_json, write_text
from kp3d_core.palette import keypoint_colors
from kp3d_core.provenance import provenance
from kp3d_core.reproduce.measure import Result
from kp3d_core.reproduce.reproduction import Reproduction, Results, Row

_BASE = ("table1/common.yaml", "table1/ours.yaml")
VARIANTS = (
    Row("baseline", "baseline", _BASE),
    Row("twice_noise", "twice the noise", (*_BASE, "figure6/twice_noise.yaml")),
    Row("no_noise", "no noise", (*_BASE, "figure6/no_noise.yaml")),
    Row("no_pose", "no pose loss", (*_BASE, "figure6/no_pose.yaml")),
    Row("no_silhouette", "no silhouette loss", (*_BASE, "figure6/no_silhouette.yaml")),
    Row("no_consistency", "no consistency loss", (*_BASE, "figure6/no_consistency.yaml")),
)
_CHANGES = {
    "baseline": "row d of Table 1",
    "twice_noise": "`pose_noise` and `initial_pose_noise` doubled",
    "no_noise": "`pose_noise` = `initial_pose_noise` = 0",
    "no_pose": "`pose` = `initial_pose` = 0",
    "no_silhouette": "`silhouette` = 0",
    "no_consistency": "`consistency` = `object_consistency` = 0",
}


def write_report(made: Reproduction) -> None:
    """Write ablations.md, ablations.json and figure6_CATEGORY.png from what has been measured."""
    with exclusive_lock(made.output, wait=True):
        results = made.results()
        content = {
            "settings": made.settings.to_dict(),
            "variants": {
                category: {name: result.figures for name, result in rows.items()}
                for category, rows in results.items()
            },
            "provenance": provenance(),
        }
        write_json(made.output / "ablations.json", content)
        write_text(made.output / "ablations.md", _markdown(made, results))
        for category, rows in results.items():
            sheet = made.output / f"figure6_{category}.png"
            cv2.imwrite(str(sheet), _sheet(rows)[..., ::-1])


def _markdown(made: Reproduction, results: Results) -> str:
    settings = made.settings
    lines = [
        "# Ablations (Figure 6), with numbers",
        "",
        f"Every variant: {settings.budget} training steps on {settings.train} views (instances x "
        f"views), the same ones; test: {settings.test} unseen ones, {settings.pairs} pairs each, "
        "without noise, with predicted flags. All keep the warm-up of row d of Table 1: anchors "
        "spread over the object, which fade out by half of the run.",
        "",
        "Mean and median: error of the relative rotation [deg]. Extent: standard deviation over "
        "keypoints of their mean places on the object along x (forward), y (left), z (up) [model "
        "units; the object spans 2]. Inside: share of keypoints within the silhouette. "
        "Consistency: median over pairs of the RMS distance in the network's input image between "
        "keypoints and those carried over from the other view [px].",
    ]
    if settings.overrides:
        lines += ["", "Changed in every training: `" + " ".join(settings.overrides) + "`."]
    for category, rows in results.items():
        lines += [
            "",
            f"## {category}",
            "",
            "| variant | changed | mean | median | extent x / y / z | inside | consistency "
            "| flag |",
            "|---|---|---|---|---|---|---|---|",
            *(_line(row, rows[row.name]) for row in VARIANTS if row.name in rows),
            "",
            f"![Same views, one row per variant](figure6_{category}.png)",
        ]
    return "\n".join(lines) + "\n"


def _line(row: Row, result: Result) -> str:
    figures: dict[str, Any] = result.figures
    rotation, extent = figures["rotation_deg"], figures["extent"]
    cells = [
        row.title,
        _CHANGES[row.name],
        f"{rotation['mean']:.2f}",
        f"{rotation['median']:.2f}",
        " / ".join(f"{extent[axis]:.2f}" for axis in "xyz") if extent else "-",
        f"{100 * figures['inside']:.1f} %",
        f"{figures['consistency_px']:.2f}",
        f"{100 * figures['flag_accuracy']:.1f} %",
    ]
    return "| " + " | ".join(cells) + " |"


def _sheet(rows: dict[str, Result]) -> NDArray[np.uint8]:
    """Same views side by side, one row per variant with its name above."""
    strips = [
        strip for row in VARIANTS if row.name in rows for strip in _strips(row, rows[row.name])
    ]
    return np.concatenate(strips, axis=0)


def _strips(row: Row, result: Result) -> list[NDArray[np.uint8]]:
    rgb, uv = result.sheet_rgb, result.sheet_uv
    colors, no_edges = np.array(keypoint_colors(uv.shape[2])), np.zeros((0, 2), np.int64)
    pictures = [
        draw_keypoints(rgb[i, v], uv[i, v], colors, no_edges) for i, v in np.ndindex(rgb.shape[:2])
    ]
    strip = np.concatenate(pictures, axis=1)
    label = np.full((24, strip.shape[1], 3), 40, np.uint8)
    white = (255, 255, 255)
    cv2.putText(label, row.title, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, white, 1, cv2.LINE_AA)
    return [label, strip]
