"""Pictures of an evaluation: the paper's Figure 2 (errors), Figures 3 and 4 (keypoints)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.breakdown import worst_views
from kp3d_core.evaluation.metrics import summarize_rotation
from kp3d_core.evaluation.predictions import Predictions

FloatArray = NDArray[np.float64]


def draw_keypoints(
    image: NDArray[np.uint8],
    uv: FloatArray,
    colors: FloatArray,
    edges: NDArray[np.int64],
    zoom: int = 3,
) -> NDArray[np.uint8]:
    """The image enlarged, with skeleton and keypoints.

    Args:
        image: RGB (H, W, 3).
        uv: keypoints (N, 2) [px of `image`].
        colors: RGB of each keypoint in 0..1, (N, 3).
        edges: pairs of keypoints to join, (E, 2).
        zoom: screen pixels per image pixel.
    """
    canvas = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    shift = 4  # fractional bits: sub-pixel positions stay visible
    points = np.round(((uv + 0.5) * zoom - 0.5) * 2**shift).astype(int)
    for i, j in edges:
        start, end = (tuple(map(int, points[k])) for k in (i, j))
        cv2.line(canvas, start, end, (190, 190, 190), 1, cv2.LINE_AA, shift)
    for point, color in zip(points, colors, strict=True):
        centre, rgb = tuple(map(int, point)), tuple(int(255 * c) for c in color)
        cv2.circle(canvas, centre, 4 * 2**shift, (20, 20, 20), -1, cv2.LINE_AA, shift)
        cv2.circle(canvas, centre, 3 * 2**shift, rgb, -1, cv2.LINE_AA, shift)
    return np.asarray(canvas, dtype=np.uint8)


def keypoint_sheet(
    views: ViewSet,
    predictions: Predictions,
    cells: list[list[tuple[int, int]]],
    colors: FloatArray,
    edges: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Grid of views with keypoints; `cells` names (object, view) row by row."""
    rows = [
        np.concatenate(
            [
                draw_keypoints(
                    np.ascontiguousarray(views.rgba[i, v, ..., :3]),
                    predictions.keypoints_uv[i, v],
                    colors,
                    edges,
                )
                for i, v in row
            ],
            axis=1,
        )
        for row in cells
    ]
    return np.concatenate(rows, axis=0)


def write_sheets(
    folder: Path,
    views: ViewSet,
    predictions: Predictions,
    absolute_rotation_deg: FloatArray,
    colors: FloatArray,
    edges: NDArray[np.int64],
) -> None:
    """`views.png`: single objects over views (Figure 3). `instances.png`: many objects (Figure 4).

    Both show the first objects and views of the set, not chosen ones. `failures.png`: the views
    with the largest error of the absolute rotation (I, V), at most one of each object.
    """
    num_instances, num_views = views.rgba.shape[:2]
    over_views = [[(i, v) for v in range(min(8, num_views))] for i in range(min(5, num_instances))]
    columns = min(8, num_instances)
    over_instances = [
        [(row * columns + column, row % num_views) for column in range(columns)]
        for row in range(min(6, num_instances // columns))
    ]
    worst = worst_views(absolute_rotation_deg, min(24, num_instances // columns * columns))
    failures = [worst[i : i + columns] for i in range(0, len(worst), columns)]
    sheets = {"views": over_views, "instances": over_instances, "failures": failures}
    for name, cells in sheets.items():
        sheet = keypoint_sheet(views, predictions, cells, colors, edges)
        cv2.imwrite(str(folder / f"{name}.png"), sheet[..., ::-1])


def write_histogram(path: Path, rotation_deg: FloatArray, title: str) -> None:
    """Distribution of relative rotation errors over 0..180 degrees (Figure 2)."""
    write_histograms(path, [[(title, rotation_deg)]])


def write_histograms(path: Path, rows: list[list[tuple[str, FloatArray]]]) -> None:
    """A grid of such distributions, each with its title; rows of equal length."""
    from matplotlib.figure import Figure

    columns = len(rows[0])
    width = 6 if columns == 1 else 4.2
    figure = Figure(figsize=(width * columns, 3.2 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False, sharey=True)
    for row, panels in zip(rows, grid, strict=True):
        for (title, rotation_deg), axes in zip(row, panels, strict=True):
            if len(rotation_deg):
                _draw_histogram(axes, rotation_deg, title)
            else:
                axes.set_title(title)
                axes.axis("off")
    figure.savefig(path, dpi=120)


def _draw_histogram(axes: Any, rotation_deg: FloatArray, title: str) -> None:
    summary = summarize_rotation(rotation_deg)
    weights = np.full(len(rotation_deg), 100 / len(rotation_deg))
    axes.hist(rotation_deg, bins=90, range=(0, 180), weights=weights, color="#3b6fb6")
    axes.axvline(summary.median, color="#c0392b", label=f"median {summary.median:.2f}°")
    axes.axvline(summary.mean, color="#e08e0b", ls="--", label=f"mean {summary.mean:.2f}°")
    axes.set(
        xlabel="relative rotation error [deg]",
        ylabel="share of pairs [%]",
        xlim=(0, 180),
        yscale="symlog",
        title=title,
    )
    axes.legend(frameon=False)
