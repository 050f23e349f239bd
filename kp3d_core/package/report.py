"""One self-contained page about a model: what it reaches, where it fails, how it was trained."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kp3d_core.files import write_text
from kp3d_core.inference import Model, load_model
from kp3d_core.inference.acceptance import Acceptance

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;border-bottom:1px solid #ddd}
td{text-align:right}td:first-child,th:first-child{text-align:left}img{max-width:100%}
pre{background:#f6f6f6;padding:1em;overflow:auto}
"""
_CURVES = (
    ("loss/total", "loss"),
    ("train/rotation_median_deg", "rotation in training, median [deg]"),
    ("val_rotation_median_deg", "rotation in validation, median [deg]"),
)
_PICTURES = (
    ("instances", "Keypoints over instances"),
    ("views", "Keypoints over views of one instance"),
    ("histogram", "Errors of the relative rotation"),
    ("failures", "Worst views, at most one of each object"),
)


def write_report(
    model_file: Path, output: Path, runs: Sequence[Path] = (), robustness: Path | None = None
) -> Path:
    """Write the page of a packaged model.

    Args:
        model_file: in float32, with evaluation/ beside it, as `package` leaves them.
        output: HTML file.
        runs: folders of its training, oldest first; those without a log are left out.
        robustness: folder of `kp3d robustness`, if it was measured.

    Returns:
        The file written.
    """
    model = load_model(model_file)
    folder = model_file.parent / "evaluation" / "fp32"
    sections = [
        _section("Figures", _figures([m for m in (model, model.int8) if m is not None])),
        *(_section(title, _picture(folder / f"{name}.png")) for name, title in _PICTURES),
        _section("By kind of object", _kinds(model.metrics["by_kind"])),
        _section("Front and back", _confusion(folder / "predictions.npz")),
        *([_section("Acceptance", _acceptance(model.acceptance))] if model.acceptance else []),
        _section("Keypoints", _keypoints(model)),
        *([] if robustness is None else [_section("Robustness", _robustness(robustness))]),
        *(_section(f"Training: {run.name}", _curves(run)) for run in runs if _logs(run)),
        _section("Origin", _text(json.dumps(dict(model.provenance), indent=1))),
    ]
    title = html.escape(f"{model.name}, version {model.version}")
    write_text(
        output,
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1>{''.join(sections)}</html>\n",
    )
    return output


def _section(title: str, content: str) -> str:
    return f"<h2>{html.escape(title)}</h2>{content}"


def _text(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"

    return f"<table>{line(header, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _figures(models: Sequence[Model]) -> str:
    figures = [model.metrics for model in models]
    rows = [
        ("pairs of views", [f"{m['pairs']:,}" for m in figures]),
        ("relative rotation, mean [deg]", [f"{m['rotation_deg']['mean']:.2f}" for m in figures]),
        ("median [deg]", [f"{m['rotation_deg']['median']:.2f}" for m in figures]),
        ("within 10 deg [%]", [f"{100 * m['rotation_deg']['within_10']:.1f}" for m in figures]),
        ("front and back right [%]", [f"{100 * m['flag_accuracy']:.2f}" for m in figures]),
        (
            "absolute rotation, median [deg]",
            [f"{m['absolute_rotation_deg']['median']:.2f}" for m in figures],
        ),
        ("keypoints between views [px]", [f"{m['consistency_px']:.2f}" for m in figures]),
        ("extent x / y / z", [_extent(m["extent"]) for m in figures]),
    ]
    header = ("", *(model.precision for model in models))
    table = _table(header, [(name, *values) for name, values in rows])
    surface = models[0].surface
    if surface is None or not surface.measured:
        reason = models[0].provenance.get("without_depth_correction")
        return table + (
            f"<p>There is no correction for depth images. {html.escape(reason)}</p>"
            if reason
            else ""
        )
    after, before = surface.measured["with"], surface.measured["without"]
    return table + (
        f"<p>With a depth image the translation is off by {after['median_percent']:.2f} % of the "
        f"distance in the median, {before['median_percent']:.2f} % without correction.</p>"
    )


def _extent(extent: dict[str, float]) -> str:
    return " / ".join(f"{extent[axis]:.2f}" for axis in "xyz")


def _kinds(kinds: dict[str, dict[str, Any]]) -> str:
    worst_first = sorted(kinds.items(), key=lambda entry: -entry[1]["mean"])
    rows = [
        (
            kind,
            str(figures["instances"]),
            f"{figures['mean']:.1f}",
            f"{figures['median']:.1f}",
            f"{100 * figures['flag_accuracy']:.1f}",
        )
        for kind, figures in worst_first
    ]
    return _table(("kind", "objects", "mean [deg]", "median [deg]", "front and back [%]"), rows)


def _confusion(predictions: Path) -> str:
    with np.load(predictions) as arrays:
        seen, true = arrays["flag"], arrays["flag_true"]
    rows = [
        (f"front {side}", *(f"{int(((seen == s) & (true == t)).sum()):,}" for s in (True, False)))
        for side, t in (("to the right", True), ("to the left", False))
    ]
    return _table(("views", "seen to the right", "seen to the left"), rows)


def _acceptance(acceptance: Acceptance) -> str:
    """What is accepted, how often that is wrong, and whether probabilities are what they say."""
    sets = [(n, acceptance.measured[n]) for n in ("fitted", "test") if n in acceptance.measured]
    if not sets:
        return "<p>Nobody measured it.</p>"
    rows = [
        ("boxes", [f"{m['encounters']:,}" for _, m in sets]),
        ("of them around an object", [f"{m['objects']:,}" for _, m in sets]),
        ("wrong before any is refused [%]", [_percent(m["wrong"]) for _, m in sets]),
        ("accepted objects [%]", [_percent(m["accepted"]) for _, m in sets]),
        (
            "accepted without an object [%]",
            [_percent(m["accepted_without_object"]) for _, m in sets],
        ),
        ("wrong among accepted [%]", [_percent(m["wrong_among_accepted"]) for _, m in sets]),
        (
            "front and back: calibration error [%]",
            [_percent(m["orientation"]["ece"]) for _, m in sets],
        ),
        (
            "wrong: calibration error [%]",
            [_percent(m["wrong_probability"]["ece"]) for _, m in sets],
        ),
    ]
    table = _table(("", *(name for name, _ in sets)), [(name, *cells) for name, cells in rows])
    limits = _table(
        ("max_wrong", "accepted objects [%]"),
        [
            (f"{100 * asked:g} %", _percent(acceptance.limit(asked).accepted))
            for asked in (0.01, 0.02, 0.05, 0.1, 0.2)
        ],
    )
    searched = acceptance.search
    if searched is not None:
        table += f"<p>Whole images searched: {html.escape(str(searched))}.</p>"
    return table + _uncertainty(acceptance.measured.get("uncertainty")) + limits + _diagrams(sets)


def _uncertainty(measured: dict[str, Any] | None) -> str:
    """Normalised errors of accepted poses before pictures."""
    if measured is None:
        return ""
    rows = [
        (name, *(_number(measured[name][part]["mean"]) for part in ("rotation", "translation")))
        for name in ("absolute", "relative")
    ]
    header = ("NEES before pictures (3 is honest)", "rotation", "translation")
    return _table(header, [*rows, ("keypoints", "", _number(measured["keypoints"]["mean"]))])


def _diagrams(sets: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Reliability diagrams: what happened over what was predicted."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    titles = (("orientation", "front and back are right"), ("wrong_probability", "it is wrong"))
    for axes, (key, title) in zip(figure.subplots(1, 2), titles, strict=True):
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
        for name, measured in sets:
            axes.plot(measured[key]["predicted"], measured[key]["happened"], "o-", label=name)
        axes.set(title=title, xlabel="predicted", ylabel="happened", xlim=(0, 1), ylim=(0, 1))
        axes.legend()
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return _image(stream.getvalue(), "reliability")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _keypoints(model: Model) -> str:
    keypoints = model.keypoints
    rows = [
        (name, *(f"{value:.2f}" for value in place), f"{np.linalg.norm(spread):.3f}")
        for name, place, spread in zip(
            keypoints.names, keypoints.canonical, keypoints.spread, strict=True
        )
    ]
    return _table(("keypoint", "x", "y", "z", "spread over objects"), rows)


def _robustness(folder: Path) -> str:
    result = json.loads((folder / "robustness.json").read_text())
    conditions = result.get("backgrounds", {}).get("conditions", {})
    rows = [
        (
            name,
            f"{figures['relative_mean_deg']:.1f}",
            f"{figures['relative_median_deg']:.1f}",
            f"{figures['absolute_median_deg']:.1f}",
            f"{100 * figures['flag_accuracy']:.1f}",
        )
        for name, figures in conditions.items()
    ]
    header = ("views before", "relative, mean [deg]", "median", "absolute, median",
              "front and back [%]")  # fmt: skip
    said = f"<p>Views of {result['settings']['instances']} objects that training never saw.</p>"
    pictures = [folder / "backgrounds.png", *sorted(folder.glob("sweep_*.png"))]
    shown = "".join(_picture(path) for path in pictures if path.is_file())
    return said + (_table(header, rows) if rows else "") + shown


def _logs(run: Path) -> list[Path]:
    """Logs of a run, oldest first: a resumed one has several."""
    numbered = sorted(run.glob("metrics.*.csv"), key=lambda path: int(path.suffixes[0][1:]))
    return [*numbered, *(path for path in (run / "metrics.csv",) if path.is_file())]


def _curves(run: Path) -> str:
    from matplotlib.figure import Figure

    rows = [row for log in _logs(run) for row in csv.DictReader(log.read_text().splitlines())]
    curves = []
    for column, title in _CURVES:
        points = {int(float(r["step"])): float(r[column]) for r in rows if r.get(column)}
        if points:
            curves.append((title, sorted(points.items())))
    if not curves:
        return "<p>No step was logged.</p>"
    figure = Figure(figsize=(4 * len(curves), 3), layout="constrained")
    columns = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (title, values) in zip(columns, curves, strict=True):
        axes.plot(*zip(*values, strict=True))
        axes.set(title=title, xlabel="step")
        axes.set_ylim(bottom=0)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return _image(stream.getvalue(), run.name)


def _picture(path: Path) -> str:
    return _image(path.read_bytes(), path.stem)


def _image(png: bytes, name: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(name)}" src="data:image/png;base64,{data}">'
