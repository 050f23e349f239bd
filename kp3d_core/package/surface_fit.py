"""The depth correction: where the surface that a depth image shows lies before the keypoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kp3d_core.data.objects import ObjectCategory
from kp3d_core.data.splits import first_seed
from kp3d_core.inference import Engine, Model
from kp3d_core.inference.surface import Surface
from kp3d_core.package.depth_views import DepthView, depth_views
from kp3d_core.progress import Report, part_of, silent

FloatArray = NDArray[np.float64]
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


class TooFewViews(ValueError):
    """The model accepts too few views of the objects to learn from."""


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


def fit_surface(
    model: Model,
    engine: Engine,
    objects: ObjectCategory,
    settings: SurfaceSettings | None = None,
    report: Report = silent,
) -> dict[str, Any]:
    """Entry `surface` of a model file: fitted to rendered objects, measured on others.

    Raises:
        ValueError: a model of another category.
        TooFewViews: it accepts too few views.
    """
    settings = settings or SurfaceSettings()
    if model.category != objects.name:
        raise ValueError(
            f"The objects must be of the model's category {model.category}, got {objects.name}. "
            "Name those that it was trained on."
        )

    def render(what: str, split: str, count: int) -> list[DepthView]:
        first = first_seed(split, count, _SEED_OFFSET)
        done = iter(range(1, count + 1))
        seeds = range(first, first + count)
        told = part_of(report, what, count)
        source = objects.source(split)
        return depth_views(model, engine, source, seeds, settings.views, lambda: told(next(done)))

    views = render("depth: objects to fit to", "train", settings.objects)
    if len(views) < _LEAST_VIEWS:
        raise TooFewViews(
            f"A surface needs at least {_LEAST_VIEWS} views that the model accepts, got "
            f"{len(views)} of {settings.objects * settings.views}. Ask for more objects, or train "
            "the model further."
        )
    network = fit_network(views, settings, part_of(report, "depth: fit", settings.steps))
    heldout = render("depth: objects to measure on", "val", settings.heldout_objects)
    agreed = [(view, view.agreed_m) for view in heldout]
    before = [view.translation_error(unit_m) for view, unit_m in agreed if unit_m is not None]
    if not before:
        raise TooFewViews(
            "A surface needs views to be measured on that the model accepts, got none of "
            f"{settings.heldout_objects * settings.views}. Ask for more objects, or train the "
            "model further."
        )
    entry = surface_entry(network)
    surface = _surface_of(entry)
    remaining = np.array([view.shift(view.corrected(surface)) for view in heldout])
    entry["std"] = float(f"{np.sqrt(np.mean(remaining**2)):.{_DIGITS}g}")
    after = [view.translation_error(view.corrected(surface)) for view in heldout]
    figures = {"views": len(heldout), "without": _percent(before), "with": _percent(after)}
    return entry | {"measured": figures, "provenance": {"settings": asdict(settings)}}


def fit_network(
    views: Sequence[DepthView],
    settings: SurfaceSettings,
    on_progress: Callable[[int], None] = lambda step: None,
) -> nn.Sequential:
    """Network of a `Surface` that minimises the mean distance to the true place."""
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
