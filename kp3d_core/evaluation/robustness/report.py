"""The measurements as a page of Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def robustness_markdown(result: dict[str, Any]) -> str:
    """Content of robustness.md from that of robustness.json."""
    model, settings = result["model"], result["settings"]
    lines = [
        f"# Robustness of `{model['name']}`, version {model['version']}",
        "",
        f"{settings['instances']} {model['category']}s that training never touched (seeds "
        f"{result['seeds']['first']} to {result['seeds']['last']}), through "
        f"{result['engine']['name']}. Model SHA-256 `{model['sha256'][:16]}`, code "
        f"`{result['provenance']['commit'][:12]}`. Made by "
        f"`{result['provenance']['command']}`.",
    ]
    if "backgrounds" in result:
        lines += _backgrounds(result["backgrounds"])
    if result.get("sweeps"):
        lines += _sweeps(result["sweeps"], settings)
    if "deformation" in result:
        lines += _deformation(result["deformation"])
    return "\n".join(lines) + "\n"


def _backgrounds(study: dict[str, Any]) -> list[str]:
    rows = []
    for name, figures in study["conditions"].items():
        over = [figures.get(f"{kind}_over_black") for kind in ("mean", "median")]
        rows.append(
            [
                name,
                f"{figures['relative_mean_deg']:.1f} / {figures['relative_median_deg']:.1f}",
                "" if over[0] is None else f"{over[0]:.2f} / {over[1]:.2f}",
                f"{figures['absolute_mean_deg']:.1f} / {figures['absolute_median_deg']:.1f}",
                f"{100 * figures['flag_accuracy']:.1f}",
            ]
        )
    families = [
        [
            name,
            f"{figures['absolute_median_deg']:.1f}",
            f"{100 * figures['flag_accuracy']:.1f}",
            str(figures["views"]),
        ]
        for name, figures in study["families"].items()
    ]
    return [
        "",
        "## Backgrounds and light",
        "",
        f"The paper's protocol, {study['pairs']} pairs, the same views in each row. Textures are "
        "of families that training does not use. Light comes from the side, dim to glaring, warm "
        "to cool. Pictures: `backgrounds.png`.",
        "",
        *_table(
            ["", "relative, mean / median [deg]", "over black", "absolute [deg]", "front/back [%]"],
            rows,
        ),
        "",
        "By family of textures, usual light:",
        "",
        *_table(["", "absolute, median [deg]", "front/back [%]", "views"], families),
    ]


def _sweeps(sweeps: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    lines = [
        "",
        "## Sweeps",
        "",
        f"Objects in images of {settings['image']} px, {settings['views']} views of each. The same "
        "views, backgrounds and occluders at every value; only the named one changes. Usual: "
        "45 degrees of field of view, 240 px, upright, any place in the image. The detector gets "
        "the box around the visible silhouette, the direction of gravity (without the roll) and "
        f"the object's size; it looks up to {settings['looks']} times. Figures count refused "
        "detections, except the last column. Before black / before textures:",
    ]
    for name, sweep in sweeps.items():
        rows = [
            [
                f"{value:g}",
                _both(sweep, k, "relative_mean_deg"),
                _both(sweep, k, "relative_median_deg"),
                _both(sweep, k, "absolute_median_deg"),
                _both(sweep, k, "flag_accuracy", 100.0),
                _both(sweep, k, "translation_median_percent"),
                _both(sweep, k, "accepted", 100.0),
                _both(sweep, k, "absolute_median_deg_accepted"),
            ]
            for k, value in enumerate(sweep["values"])
        ]
        header = [
            sweep["label"],
            "relative, mean [deg]",
            "relative, median",
            "absolute, median",
            "front/back [%]",
            "translation, median [%]",
            "accepted [%]",
            "absolute, median, of accepted",
        ]
        lines += ["", f"### {name.capitalize()}", "", *_table(header, rows)]
        lines += ["", f"![curves](sweep_{name}.png)", "", f"Pictures: `views_{name}.png`."]
    return lines


def _deformation(study: dict[str, Any]) -> list[str]:
    rows = [
        [
            name,
            _number(entry["slope_surface"], 2),
            _number(entry["correlation_surface"], 2),
            _number(entry["slope_landmarks"], 2),
            _number(entry["correlation_landmarks"], 2),
        ]
        for name, entry in study["stretches"].items()
    ]
    return [
        "",
        "## Deformation",
        "",
        "Objects are stretched along one axis, smoothly from the middle to the end. Slope 1: "
        "keypoints move with the surface where they sit (with the landmark nearest to them), "
        "0: they do not. What all keypoints of an object move alike is not counted. Front and back "
        f"were right before and after in {100 * study['used_views']:.1f} % of the views; only "
        "these count. Pictures: `deformation.png`.",
        "",
        *_table(
            ["", "slope, surface", "correlation", "slope, landmarks", "correlation"],
            rows,
        ),
    ]


def _both(sweep: dict[str, Any], index: int, key: str, factor: float = 1.0) -> str:
    """A figure before black and before textures."""
    cells = []
    for name in ("black", "textured"):
        value = sweep[name][index][key]
        cells.append(_number(None if value is None else factor * value, 1))
    return " / ".join(cells)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]
