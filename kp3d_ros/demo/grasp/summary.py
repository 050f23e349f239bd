"""The trials' summary: a JSON file and a table on one screen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from kp3d_ros.demo.grasp.objects import FIRST_SEED
from kp3d_ros.demo.grasp.trials import Result, Settings

FAR = 3.0
"""A pose that is off by more of its stated standard deviations than this was wrong about itself."""
_Z95 = 1.96


def summarize(results: Sequence[Result], settings: Settings, duration_s: float) -> dict[str, Any]:
    """Everything that was measured, with what is needed to measure it again."""
    closed = [item for item in results if item.closed]
    far = [item for item in closed if (item.deviations or 0) > FAR]
    successes = sum(item.success for item in results)
    return {
        "trials": len(results),
        "picked_up": successes,
        "success_rate": round(successes / len(results), 4) if results else None,
        "interval_95": wilson(successes, len(results)),
        "closed": len(closed),
        "closed_on_far_pose": len(far),
        "refused": sum(item.reason.startswith("refused") for item in results),
        "second_views": sum(item.views > 1 for item in results),
        "reasons": dict(Counter(item.reason for item in results if item.reason).most_common()),
        "error_mm": _spread([item.error_mm for item in results]),
        "error_deg": _spread([item.error_deg for item in results]),
        "image_to_plan_s": _spread([item.image_to_plan_s for item in results]),
        "duration_s": round(duration_s, 1),
        "settings": {
            "pose": "true" if settings.true_pose else "kp3d",
            "model": None if settings.true_pose else settings.model,
            "use_depth": settings.use_depth and not settings.true_pose,
            "clutter": settings.clutter,
            "size_error": settings.size_error,
            "first_trial": settings.first,
            "first_mug_seed": FIRST_SEED + settings.first if not settings.mugs else None,
            "mugs": [mug.name for mug in settings.mugs],
        },
        "versions": {name: version(name) for name in ("kp3d", "pybullet", "coacd", "numpy")},
        "results": [asdict(item) for item in results],
    }


def wilson(successes: int, trials: int) -> list[float] | None:
    """Bounds between which the true rate lies in 95 of 100 cases.

    Reference: Wilson, Journal of the American Statistical Association 22(158), 1927.
    """
    if not trials:
        return None
    rate, z2 = successes / trials, _Z95**2
    middle = rate + z2 / (2 * trials)
    half = _Z95 * math.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials**2))
    scale = 1 + z2 / trials
    return [round((middle - half) / scale, 4), round((middle + half) / scale, 4)]


def print_table(summary: dict[str, Any], console: Console) -> None:
    """What a user wants to know first."""
    settings = summary["settings"]
    source = "the simulator's true pose" if settings["pose"] == "true" else (
        f"kp3d, {'depth' if settings['use_depth'] else 'known size, RGB only'}"
    )  # fmt: skip
    table = Table(title=f"kp3d demo grasp: mugs picked up by {source}", title_justify="left")
    table.add_column("what")
    table.add_column("measured", justify="right")
    table.add_column("note", style="dim")
    low, high = (100 * value for value in summary["interval_95"])
    rate = 100 * summary["success_rate"]
    note = f"{rate:.0f} %, 95 % interval {low:.0f} to {high:.0f} %"
    table.add_row("picked up", f"{summary['picked_up']} of {summary['trials']}", note)
    for reason, count in summary["reasons"].items():
        table.add_row("  not:", str(count), reason)
    second = "with the camera in the hand"
    table.add_row("looked a second time", str(summary["second_views"]), second)
    far = f"off by more than {FAR:.0f} stated standard deviations"
    table.add_row("closed on a wrong pose", str(summary["closed_on_far_pose"]), far)
    for key, name, unit in (
        ("error_mm", "error of the place", "mm"),
        ("error_deg", "error of the rotation", "deg"),
        ("image_to_plan_s", "from image to plan", "s"),
    ):
        spread = summary[key]
        if spread:
            table.add_row(
                name, f"{spread['median']:.2f} {unit}", f"median; p90 {spread['p90']:.2f}"
            )
    console.print(table)


def _spread(values: Sequence[float | None]) -> dict[str, float] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    median, p90 = np.percentile(known, [50, 90])
    return {"median": round(float(median), 3), "p90": round(float(p90), 3)}
