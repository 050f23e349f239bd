"""Stages that recipes and experiments are made of: rendering a set, a run of the first training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kp3d_core.data.generate import GenerateSettings, generate
from kp3d_core.data.objects import ObjectCategory
from kp3d_core.data.photographs import photographs_digest
from kp3d_core.files import write_text
from kp3d_core.progress import Report, silent
from kp3d_core.recipe.code import LIGHT_CODE, TRAINING_CODE, object_code
from kp3d_core.recipe.settings import PhaseSettings
from kp3d_core.recipe.stages import Stage
from kp3d_core.training.checkpoint import load_checkpoint
from kp3d_core.training.run import run_training


def data_stage(
    name: str,
    folder: Path,
    settings: GenerateSettings,
    objects: ObjectCategory,
    jobs: int,
    report: Report = silent,
    estimate: Mapping[str, float] | None = None,
) -> Stage:
    """A rendered set of a name; `jobs` processes render."""

    def run() -> object:
        return generate(
            settings,
            folder,
            jobs=jobs,
            source=objects.source(settings.split),
            on_progress=lambda done, total: report(f"data: {name}", done, total),
        )

    return Stage(
        f"data_{name}",
        folder,
        {
            "settings": settings,
            "objects": objects.digest(settings.split),
            "reflections": photographs_digest(settings.reflections) if settings.reflections else "",
        },
        (*object_code(objects), *LIGHT_CODE, "kp3d_core.rendering", "kp3d_core.data.cameras",
         "kp3d_core.data.generate"),
        run,
        **estimate or {},
    )  # fmt: skip


def training_stage(
    folder: Path,
    phase: PhaseSettings,
    folders: Mapping[str, Path | str],
    inputs: Mapping[str, Any],
    *,
    weights: Mapping[str, Path] | None = None,
    accelerator: str = "auto",
    overrides: Sequence[str] = (),
    report: Report = silent,
    estimate: Mapping[str, float] | None = None,
) -> Stage:
    """A run of `kp3d train`, beside whose folder `.build` keeps its settings.

    Args:
        folder: of the run.
        phase: what is trained.
        folders: settings of the data that name folders: `train` and `val`, and others.
        inputs: what else decides the result, such as the keys of the stages before.
        weights: settings of the model that name checkpoints of stages before.
        accelerator: of Lightning's trainer.
        overrides: further options in the form of the command line.
        report: told how far it is.
        estimate: duration, memory and disk of the stage.
    """
    content = {
        "model": phase.model | {name: str(path) for name, path in (weights or {}).items()},
        "data": phase.data | {name: str(path) for name, path in folders.items()},
        "trainer": {"max_steps": phase.steps, "accelerator": accelerator},
    }

    def run() -> None:
        own = folder.parent / ".build" / f"{folder.name}.yaml"
        write_text(own, yaml.safe_dump(content))
        run_training([*phase.presets, own], folder, list(overrides), report=report)
        steps = load_checkpoint(last_checkpoint(folder)).steps
        if steps < phase.steps:
            raise RuntimeError(
                f"The training in {folder} stopped at step {steps} of {phase.steps}. The same "
                "command goes on."
            )

    decisive = {"phase": phase, "presets": phase.read_presets(), **inputs}
    return Stage(folder.name, folder, decisive, TRAINING_CODE, run, **estimate or {})


def last_checkpoint(folder: Path) -> Path:
    """Where the training of a run folder ends."""
    return folder / "checkpoints" / "last.ckpt"
