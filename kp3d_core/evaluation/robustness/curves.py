"""Curves of a sweep: rotation, front and back, translation over the value that changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_COLORS = {"black": "#222222", "textured": "#c0392b"}


def write_curves(path: Path, sweep: dict[str, Any], title: str) -> None:
    """A PNG with three plots of an entry of `robustness.json`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.8), layout="constrained")
    rotation, share, translation = figure.subplots(1, 3)
    x = sweep["values"]
    for name, color in _COLORS.items():
        figures = _columns(sweep[name])
        style: dict[str, Any] = {"color": color, "marker": "o", "ms": 3.5}
        dashed = {**style, "ls": "--"}
        rotation.plot(x, figures["relative_median_deg"], **style, label=f"relative, {name}")
        rotation.plot(x, figures["absolute_median_deg"], **dashed, label=f"absolute, {name}")
        share.plot(x, 100 * figures["flag_accuracy"], **style, label=f"front/back right, {name}")
        share.plot(x, 100 * figures["accepted"], **dashed, label=f"accepted, {name}")
        median, p90 = figures["translation_median_percent"], figures["translation_p90_percent"]
        translation.plot(x, median, **style, label=f"median, {name}")
        translation.plot(x, p90, **dashed, label=f"90th percentile, {name}")
    rotation.set(ylabel="median rotation error [deg]", yscale="log", ylim=(1, 180))
    rotation.set_yticks(
        [1, 2, 5, 10, 20, 50, 100, 180], ["1", "2", "5", "10", "20", "50", "100", ""]
    )
    rotation.minorticks_off()
    share.set(ylabel="share of views [%]", ylim=(0, 102))
    translation.set(ylabel="translation error [% of distance]", ylim=(0, None))
    for axes in (rotation, share, translation):
        axes.set_xlabel(sweep["label"])
        axes.grid(alpha=0.3)
        axes.legend(
            frameon=False, fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.18)
        )
        if sweep["logarithmic"]:
            axes.set_xscale("log")
            axes.set_xticks(x, [f"{value:g}" for value in x])
            axes.minorticks_off()
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


def _columns(rows: list[dict[str, Any]]) -> dict[str, NDArray[np.float64]]:
    """Figures over the values of a sweep, by name; NaN where there is none."""
    return {key: np.array([row[key] for row in rows], dtype=np.float64) for key in rows[0]}
