"""Curves of a sweep: rotation, front and back, translation over the value that changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_COLORS = {"black": "#222222", "textured": "#c0392b"}


def write_curves(path: Path, sweep: dict[str, Any], title: str) -> None:
    """One picture with three plots; solid and dashed lines as in the legends.

    Args:
        path: PNG to write.
        sweep: entry of `robustness.json`.
        title: above the plots.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (rotation, share, translation) = plt.subplots(
        1, 3, figsize=(13, 3.4), layout="constrained"
    )
    x = sweep["values"]
    for name, color in _COLORS.items():
        rows = sweep[name]

        def column(key: str, factor: float = 1.0, rows: list[dict[str, Any]] = rows) -> list[float]:
            return [factor * row[key] for row in rows]

        style: dict[str, Any] = {"color": color, "marker": "o", "ms": 3.5}
        rotation.plot(x, column("relative_median_deg"), **style, label=f"relative, {name}")
        rotation.plot(x, column("absolute_median_deg"), **style, ls="--", label=f"absolute, {name}")
        share.plot(x, column("flag_accuracy", 100), **style, label=f"front/back right, {name}")
        share.plot(x, column("accepted", 100), **style, ls="--", label=f"accepted, {name}")
        translation.plot(x, column("translation_median_percent"), **style, label=f"median, {name}")
        translation.plot(
            x, column("translation_p90_percent"), **style, ls="--", label=f"90th percentile, {name}"
        )
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
        axes.legend(frameon=False, fontsize=7)
        if sweep["logarithmic"]:
            axes.set_xscale("log")
            axes.set_xticks(x, [f"{value:g}" for value in x])
            axes.minorticks_off()
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    plt.close(figure)
