"""Plots of the page of figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def plot_growth(run: Mapping[str, Any], path: Path) -> None:
    """Time over the batch size, in all and per object, over input size and over objects."""
    plt = _pyplot()
    figure, axes = plt.subplots(2, 2, figsize=(8, 6), layout="constrained")
    for label, rows in _grouped([row for row in run["rows"] if row["network"] == "fast"]).items():
        batches = [row["batch"] for row in rows]
        axes[0, 0].plot(batches, [row["p50_ms"] for row in rows], "o-", label=label)
        axes[0, 1].plot(batches, [row["p50_ms"] / row["batch"] for row in rows], "o-")
    for axis, name, key in (
        (axes[1, 0], "input_sizes", "input_size"),
        (axes[1, 1], "objects", "objects"),
    ):
        for label, rows in _grouped(run.get(name, [])).items():
            axis.plot(
                [row[key] for row in rows], [row["p50_ms"] for row in rows], "o-", label=label
            )
            axis.legend(fontsize="small")
    for axis, title, what in zip(
        axes.flat,
        ("one engine call", "one object of it", "one image, network `fast`", "image to poses"),
        ("objects in the batch", "objects in the batch", "network input [px]", "objects"),
        strict=True,
    ):
        axis.set(title=title, xlabel=what, ylabel="median [ms]", ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def plot_node(run: Mapping[str, Any], path: Path) -> None:
    """Median latency of each image size: engine, the node's own part, transport; and the p99."""
    plt = _pyplot()
    figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
    sizes = list(run["resolutions"])
    rows = [run["resolutions"][size] for size in sizes]
    left = np.zeros(len(rows))
    parts = {
        "engine": [row["engine_ms_p50"] for row in rows],
        "node": [row["own_ms_p50"] for row in rows],
        "transport": [row["overhead_ms_p50"] - row["own_ms_p50"] for row in rows],
    }
    for label, values in parts.items():
        axis.barh(sizes, values, left=left, label=label)
        left += values
    axis.plot([row["latency_ms_p99"] for row in rows], sizes, "k|", markersize=14, label="p99")
    axis.set(xlabel="image stamp to keypoints received [ms]", xlim=(0, None))
    axis.invert_yaxis()
    axis.legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _grouped(rows: list[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Rows by engine and precision, in the order in which they were measured."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        label = f"{row['name'].split()[0]} {row['precision']}"
        found.setdefault(label, []).append(row)
    return found


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    return pyplot
