"""`kp3d calibrate-depth`: teach a model file where the surface lies before its keypoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from kp3d_core.data.procedural import CATEGORIES
from kp3d_core.data.splits import first_seed
from kp3d_core.export.depth_views import DepthView, depth_views
from kp3d_core.export.to_onnx import file_metadata, write_model
from kp3d_core.inference import create_engine, load_model
from kp3d_core.inference.engines import REFERENCE_ENGINE
from kp3d_core.inference.surface import Surface
from kp3d_core.provenance import provenance

FloatArray = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
"""Told (what is done, how much of it, of how much)."""

_SEED_OFFSET = 500_000
"""Of the objects: numbers that no recipe of this repository renders."""
_GUESSES = 6
"""Of the scale, that each view is shown with."""
_GUESS_STD = 0.03
"""Standard deviation of the others around that of `guess_unit`, as a share of it."""
_UNKNOWN = 0.1
"""Probability that a depth is missing, as sensors leave holes."""
_BATCH = 256
_LEAST_VIEWS = 100
_DIGITS = 3
"""Significant digits of weights in the file; they move an answer by less than a thousandth."""


@dataclass(frozen=True)
class SurfaceSettings:
    """How it is fitted and measured."""

    objects: int = 600
    """To fit to, never seen in training."""
    heldout_objects: int = 100
    """To measure what remains."""
    views: int = 6
    """Of each object."""
    width: int = 32
    """Of the two hidden layers."""
    steps: int = 4000
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    dropout: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = [
            f"{name} must be at least {least}, got {getattr(self, name)}"
            for name, least in (("objects", 1), ("heldout_objects", 1), ("views", 1), ("steps", 20))
            if getattr(self, name) < least
        ]
        if problems:
            raise ValueError("Depth cannot be calibrated: " + "; ".join(problems) + ".")


def calibrate_depth(
    name_or_path: str,
    output: Path,
    settings: SurfaceSettings | None = None,
    on_progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Write a model file with a `Surface`; all else in it stays.

    Args:
        name_or_path: model in fp32 of a procedural category.
        output: file to write, atomically.
        settings: of fit and measurement.
        on_progress: told how far it is.

    Returns:
        Translation errors on held-out objects [% of the distance], without and with the surface.

    Raises:
        ValueError: a model of another kind, or one that accepts too few views.
    """
    settings = settings or SurfaceSettings()
    model = load_model(name_or_path)
    if model.precision != "fp32" or model.category not in CATEGORIES:
        raise ValueError(
            f"MODEL must be in fp32 and of {', '.join(CATEGORIES)}, whose objects can be rendered "
            f"with depth, got {model.name} in {model.precision} of category {model.category}. "
            "Pass the file that `kp3d export` wrote."
        )
    engine = create_engine(model, REFERENCE_ENGINE, precision="fp32")

    def render(what: str, split: str, count: int) -> list[DepthView]:
        first = first_seed(split, count, _SEED_OFFSET)
        done = iter(range(1, count + 1))
        return depth_views(
            model,
            engine,
            range(first, first + count),
            settings.views,
            lambda: on_progress(what, next(done), count),
        )

    views = render("objects to fit to", "train", settings.objects)
    if len(views) < _LEAST_VIEWS:
        raise ValueError(
            f"A surface needs at least {_LEAST_VIEWS} views that the model accepts, got "
            f"{len(views)} of {settings.objects * settings.views}. Ask for more objects, or train "
            "the model further."
        )
    network = fit_network(views, settings, lambda done: on_progress("fit", done, settings.steps))
    heldout = render("objects to measure on", "val", settings.heldout_objects)
    entry = surface_entry(network)
    surface = _surface_of(entry)
    remaining = np.array([view.shift(view.corrected(surface)) for view in heldout])
    entry["std"] = float(f"{np.sqrt(np.mean(remaining**2)):.{_DIGITS}g}")
    agreed = [(view, view.agreed_m) for view in heldout]
    before = [view.translation_error(unit_m) for view, unit_m in agreed if unit_m is not None]
    after = [view.translation_error(view.corrected(surface)) for view in heldout]
    figures = {"views": len(heldout), "without": _percent(before), "with": _percent(after)}
    metadata = file_metadata(model)
    metadata["surface"] = entry | {
        "measured": figures,
        "provenance": provenance() | {"settings": asdict(settings)},
    }
    write_model(onnx.load_from_string(model.data), metadata, output)
    load_model(output)
    return figures


def fit_network(
    views: Sequence[DepthView],
    settings: SurfaceSettings,
    on_progress: Callable[[int], None] = lambda step: None,
) -> nn.Sequential:
    """Network of a `Surface` that minimises the mean distance to the true place.

    Args:
        views: to fit to.
        settings: of the fit.
        on_progress: called with the number of finished steps.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    inputs, targets = _examples(views, rng)
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0).clip(1e-2)
    x = torch.from_numpy((inputs - mean) / deviation).float()
    y = torch.from_numpy(targets).float()
    width = settings.width
    network = nn.Sequential(
        nn.Linear(x.shape[1], width), nn.SiLU(), nn.Dropout(settings.dropout),
        nn.Linear(width, width), nn.SiLU(),
        nn.Linear(width, 1),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.steps
    )
    for step in range(settings.steps):
        draw = torch.randint(len(x), (_BATCH,))
        loss = (network(x[draw])[:, 0] - y[draw]).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        on_progress(step + 1)
    _take_raw_inputs(network[0], mean, deviation)
    return network.eval()


def _examples(
    views: Sequence[DepthView], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Inputs (M, F) of all views with several guesses of the scale, and answers (M,)."""
    inputs, targets = [], []
    for view in views:
        for k in range(_GUESSES):
            unit_m = view.unit_m * (1 + _GUESS_STD * rng.standard_normal() * (k > 0))
            holes = rng.random(len(view.measured)) < _UNKNOWN
            seen = replace(view, measured=np.where(holes & (k > 0), np.nan, view.measured))
            inputs.append(seen.inputs(unit_m))
            targets.append(seen.shift(unit_m))
    return np.array(inputs), np.array(targets)


def _take_raw_inputs(layer: nn.Module, mean: FloatArray, deviation: FloatArray) -> None:
    """Make a layer take raw inputs that was fitted to them in deviations from their mean."""
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.div_(torch.from_numpy(deviation).float())
        layer.bias.sub_(layer.weight @ torch.from_numpy(mean).float())


def surface_entry(network: nn.Sequential) -> dict[str, Any]:
    """Entry `surface` of a model file's metadata, `std` apart; numbers have few digits."""
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    entry: dict[str, Any] = {"sizes": [layer.out_features for layer in layers]}
    for k, layer in enumerate(layers):
        entry[f"weights_{k}"] = _short(layer.weight)
        entry[f"biases_{k}"] = _short(layer.bias)
    return entry


def _surface_of(entry: dict[str, Any]) -> Surface:
    numbers = range(len(entry["sizes"]))
    return Surface(
        weights=tuple(np.array(entry[f"weights_{k}"]) for k in numbers),
        biases=tuple(np.array(entry[f"biases_{k}"]) for k in numbers),
        std=0.0,
    )


def _short(values: torch.Tensor) -> Any:
    rounded = np.vectorize(lambda value: float(f"{value:.{_DIGITS}g}"))
    return rounded(values.detach().numpy().astype(np.float64)).tolist()


def _percent(errors: Sequence[float]) -> dict[str, float]:
    return {
        "median_percent": round(100 * float(np.median(errors)), 3),
        "p90_percent": round(100 * float(np.percentile(errors, 90)), 3),
    }
