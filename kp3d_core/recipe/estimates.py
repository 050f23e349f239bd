"""What the stages of a recipe take, told before they are run.

Rates are those of one core of a Zen 3 or Xeon at full clock, November 2026 (docs/performance.md);
they are meant to tell minutes from hours.
"""

from __future__ import annotations

from typing import Any

from kp3d_core.data.generate import GenerateSettings
from kp3d_core.evaluation.robustness.measure import RobustnessSettings
from kp3d_core.evaluation.robustness.sweeps import BACKGROUNDS, SWEEPS
from kp3d_core.recipe.settings import PhaseSettings, Recipe
from kp3d_core.training.finetune_settings import FinetuneSettings

MEASURED_STEPS = 8
"""Of a training, to measure its speed, after as many that do not count."""
FINETUNE_SHARE = 1.0
"""Time of a step of finetuning (32 views, each with its mirror image) as a share of that of the
first stage (64 views)."""
_RENDERED_PER_S = 250.0
"""Views of 128 px a second and process."""
_TRAINED_PER_S = 150.0
"""Views of 64 px a second."""
_READ_PER_S = 400.0
"""Views of 64 px a second that are only looked at."""
_BOXES_PER_S = 5.0
"""Encounters of `package`, composed and looked at up to four times."""
_LOOKED_PER_S = 15.0
"""Images of 640x480 that are rendered and searched for an object."""
_WARMUP_STEP_S = 0.05
_BYTES_PER_PIXEL = 0.65
"""Of a view on disk: PNG of colours and coverage, and its mask."""
_PROCESS_MB = 900.0
"""Of a training without its views."""


def rendering(settings: GenerateSettings, jobs: int) -> dict[str, float]:
    """Of one set."""
    views = settings.instances * settings.views
    size = settings.image_size
    return {
        "seconds": views * (size / 128) ** 2 / (_RENDERED_PER_S * jobs),
        "memory_mb": 300.0 * jobs,
        "disk_mb": views * _BYTES_PER_PIXEL * size**2 / 1e6,
    }


def training(phase: PhaseSettings, recipe: Recipe) -> dict[str, float]:
    """Of a phase."""
    data: dict[str, Any] = {}
    for content in [*phase.read_presets(), {"data": phase.data}]:
        data |= content.get("data", {})
    size = data.get("input_size", 64)
    views = data.get("objects_per_batch", 16) * data.get("views_per_object", 4)
    return {
        "seconds": phase.steps * views * (size / 64) ** 2 / _TRAINED_PER_S,
        "memory_mb": _held_mb(recipe, "train", data.get("source_size") or size),
        "disk_mb": 40.0,
    }


def finetuning(settings: FinetuneSettings, recipe: Recipe) -> dict[str, float]:
    """Of the second stage, at the size of the first one's end."""
    share = (_input_size(recipe) / 64) ** 2
    seconds = settings.steps * 64 * share / _TRAINED_PER_S
    return {
        "seconds": seconds + warming_up(settings, recipe),
        "memory_mb": _held_mb(recipe, "finetune", recipe.data.image_size),
        "disk_mb": 60.0,
    }


def warming_up(settings: FinetuneSettings, recipe: Recipe) -> float:
    """Seconds in which all views are read, and the refiner alone is fitted."""
    views = recipe.data.finetune.instances * recipe.data.finetune.views
    looks = 4 * views * (_input_size(recipe) / 64) ** 2  # plain and changed, each mirrored, too
    return looks / _READ_PER_S + settings.warmup_steps * _WARMUP_STEP_S


def packaging(recipe: Recipe) -> dict[str, float]:
    """Of the package, whose calibration and evaluations look at views and mirror images."""
    sets, most = recipe.data, recipe.package.objects
    seen = 3 * sets.val.views * min(sets.val.instances, most)
    seen += sets.train.views * min(sets.train.instances, most)
    seen += (4 if recipe.package.int8 else 2) * sets.test.views * sets.test.instances
    surface = recipe.package.surface
    depth = surface.views * (surface.objects + surface.heldout_objects) * recipe.package.depth
    boxes = 1.5 * recipe.package.encounters / _BOXES_PER_S
    seconds = 60.0 + boxes + 2 * seen * (_input_size(recipe) / 64) ** 2 / _READ_PER_S + depth / 20
    return {"seconds": seconds, "memory_mb": _PROCESS_MB, "disk_mb": 30.0}


def robustness(settings: RobustnessSettings, most_objects: int | None) -> dict[str, float]:
    """Of the measurement of what the report shows beyond the evaluation."""
    objects = min(settings.instances, most_objects or settings.instances)
    looks = sum(
        len(sweep.values) * len(BACKGROUNDS) for sweep in SWEEPS if sweep.name in settings.parts
    )
    seconds = 20.0 + objects * settings.views * (looks + 20) / _LOOKED_PER_S
    return {"seconds": seconds, "memory_mb": _PROCESS_MB, "disk_mb": 10.0}


def apart_from_steps(recipe: Recipe) -> float:
    """Seconds of all that comes after the data but the steps of training."""
    seconds = packaging(recipe)["seconds"]
    if recipe.finetune is not None:
        seconds += warming_up(recipe.finetune, recipe)
    if recipe.robustness is not None:
        seconds += robustness(recipe.robustness, recipe.objects.most("test"))["seconds"]
    return seconds


def _input_size(recipe: Recipe) -> int:
    """Of the network at the end of the first stage, where the recipe itself says it."""
    return int(recipe.train[-1].data.get("input_size", 96))


def _held_mb(recipe: Recipe, name: str, size: int) -> float:
    """Memory of a training, which holds its views decoded."""
    wanted = getattr(recipe.data, name)
    return _PROCESS_MB + 4e-6 * wanted.instances * wanted.views * size**2
