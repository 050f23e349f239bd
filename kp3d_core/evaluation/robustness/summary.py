"""The measurements in a few lines, for a page that speaks of more than robustness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def robustness_summary(result: Mapping[str, Any]) -> list[str]:
    """Lines of Markdown from the content of robustness.json."""
    settings, model = result["settings"], result["model"]
    amount = f"--instances {settings['instances']} --views {settings['views']}"
    lines = [
        f"**Beyond the paper's images**, on {settings['instances']} other {model['category']}s "
        "with textures that training never saw "
        f"(`kp3d robustness {model['name']} --output DIR {amount}`)."
    ]
    if "backgrounds" in result:
        lines += [
            "Relative rotation of the paper's pairs of views, the same ones in each row:",
            "",
            *_conditions(result["backgrounds"]["conditions"]),
            "",
        ]
    if result.get("sweeps"):
        lines += [
            f"A detector on images of {settings['image']} px that is given the box around the "
            "object, its size and the direction of gravity. Medians over "
            f"{settings['instances'] * settings['views']} views, refused ones included; one value "
            "changes, the others stay at 45 deg of field of view, 240 px, upright:",
            "",
            *_sweeps(result["sweeps"]),
            "",
        ]
    return lines


def _conditions(conditions: Mapping[str, Mapping[str, float]]) -> list[str]:
    rows = [
        f"| {name} | {figures['relative_mean_deg']:.1f} | {figures['relative_median_deg']:.1f} "
        f"| {100 * figures['flag_accuracy']:.1f} |"
        for name, figures in conditions.items()
    ]
    return [
        "| background, light | mean [deg] | median [deg] | flags [%] |",
        "| --- | ---: | ---: | ---: |",
        *rows,
    ]


def _sweeps(sweeps: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [
        "| | values | absolute [deg], black | textures | translation [%], black | textures "
        "| accepted [%], textures |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for sweep in sweeps.values():
        columns = [
            " · ".join(f"{value:g}" for value in sweep["values"]),
            _row(sweep["black"], "absolute_median_deg"),
            _row(sweep["textured"], "absolute_median_deg"),
            _row(sweep["black"], "translation_median_percent"),
            _row(sweep["textured"], "translation_median_percent"),
            _row(sweep["textured"], "accepted", 100.0),
        ]
        lines.append(f"| {sweep['label']} | {' | '.join(columns)} |")
    return lines


def _row(trials: Sequence[Mapping[str, float]], key: str, factor: float = 1.0) -> str:
    return " · ".join(f"{factor * trial[key]:.0f}" for trial in trials)
