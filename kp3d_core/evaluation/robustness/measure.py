"""`kp3d robustness`: a model file in, tables, curves and pictures out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kp3d_core.data.objects import Instance, ObjectCategory, object_category
from kp3d_core.data.procedural import Instance as ProceduralInstance
from kp3d_core.data.splits import first_seed, split_problems
from kp3d_core.evaluation.robustness.background_study import (
    study_backgrounds,
    summarize_backgrounds,
)
from kp3d_core.evaluation.robustness.curves import write_curves
from kp3d_core.evaluation.robustness.deformation_study import (
    study_deformation,
    summarize_deformation,
)
from kp3d_core.evaluation.robustness.placement import HEIGHT, WIDTH
from kp3d_core.evaluation.robustness.report import robustness_markdown
from kp3d_core.evaluation.robustness.sheets import (
    write_background_sheet,
    write_deformation_sheet,
    write_sweep_sheet,
)
from kp3d_core.evaluation.robustness.sweeps import BACKGROUNDS, SWEEPS, Sweep, run_sweeps
from kp3d_core.evaluation.robustness.trials import Examiner, summarize_trials
from kp3d_core.files import write_json, write_text
from kp3d_core.inference import DetectorSettings, Engine, Model, create_engine, load_model
from kp3d_core.provenance import provenance

PARTS: tuple[str, ...] = ("backgrounds", *(sweep.name for sweep in SWEEPS), "deformation")
"""What can be measured, each on its own."""

Progress = Callable[[str, int, int], None]
"""Told (part, objects done, objects in total)."""

_BACKGROUND_VIEWS, _DEFORMATION_VIEWS = 5, 2
"""Views of an object in these parts per view of a sweep: a sweep looks at each many times."""


@dataclass(frozen=True)
class RobustnessSettings:
    """How much to measure, on what."""

    instances: int = 20
    """Objects."""
    views: int = 8
    """Views of each object in a sweep; the other parts take a multiple."""
    parts: tuple[str, ...] = PARTS
    """What to measure, of `PARTS`."""
    looks: int = DetectorSettings.max_runs
    """Most looks that the detector takes at an object, `DetectorSettings.max_runs`."""
    seed: int = 0
    """Of views, backgrounds, light, occluders and pairs."""
    seed_offset: int = 900_000_001
    """Where the objects start in the fresh range of the test split, see `splits`."""

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = split_problems("test", self.instances, self.seed_offset)
        if self.views < 2:
            problems.append(f"views must be at least 2, to form pairs, got {self.views}")
        if self.looks < 1:
            problems.append(f"looks must be at least 1, got {self.looks}")
        if self.seed < 0:
            problems.append(f"seed must be zero or more, got {self.seed}")
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown or not self.parts:
            problems.append(
                f"parts must be some of {', '.join(PARTS)}, got {', '.join(unknown) or 'none'}"
            )
        if problems:
            raise ValueError("Robustness cannot be measured: " + "; ".join(problems) + ".")


def measure_robustness(
    model_name_or_path: str,
    output: Path,
    settings: RobustnessSettings | None = None,
    engine_name: str = "auto",
    device: str = "auto",
    on_progress: Progress = lambda part, done, total: None,
    objects: ObjectCategory | None = None,
) -> dict[str, Any]:
    """Measure a model beyond the paper's images, on rendered objects with exact truth.

    Args:
        model_name_or_path: shipped name or path of a model file.
        output: folder for robustness.json, robustness.md, curves and pictures.
        settings: how much to measure.
        engine_name: engine to run the model with.
        device: to run it on, see `EngineOptions`.
        on_progress: called after each object of each part.
        objects: where those of the model's category come from; of an imported one, all meshes of
            the test split count at most, and none can be deformed, as they have no landmarks. None:
            the built-in ones.

    Returns:
        The content of robustness.json.

    Raises:
        ValueError: model, engine or settings cannot be used; the message says why.
    """
    settings = settings or RobustnessSettings()
    model = load_model(model_name_or_path)
    engine = create_engine(model, engine_name, device=device, precision=None)
    objects = objects or object_category(model.category)
    settings = _fitting(settings, objects)
    first = first_seed("test", settings.instances, settings.seed_offset)
    seeds = range(first, first + settings.instances)
    source = objects.source("test")
    instances: list[Any] = [source(model.category, seed) for seed in seeds]
    output.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {
        "model": {
            "name": model.name,
            "version": model.version,
            "category": model.category,
            "sha256": model.sha256,
        },
        "engine": {"name": engine.name, "device": engine.device},
        "settings": {**asdict(settings), "image": f"{WIDTH}x{HEIGHT}"},
        "seeds": {"first": seeds[0], "last": seeds[-1]},
        "provenance": provenance(),
    }
    study = _Study(model, engine, instances, settings, output, on_progress)
    if "backgrounds" in settings.parts:
        result["backgrounds"] = study.backgrounds()
    result["sweeps"] = study.sweeps([s for s in SWEEPS if s.name in settings.parts])
    if "deformation" in settings.parts:
        result["deformation"] = study.deformation()
    write_json(output / "robustness.json", result)
    write_text(output / "robustness.md", robustness_markdown(result))
    return result


def _fitting(settings: RobustnessSettings, objects: ObjectCategory) -> RobustnessSettings:
    """As many objects as there are, and the parts that can be measured on them."""
    most = objects.most("test")
    if most is None:
        return settings
    parts = tuple(part for part in settings.parts if part != "deformation")
    return replace(settings, instances=min(settings.instances, most), parts=parts)


@dataclass(frozen=True, eq=False)
class _Study:
    """The parts of a measurement, with what all of them need; each writes its pictures."""

    model: Model
    engine: Engine
    instances: Sequence[Instance]
    settings: RobustnessSettings
    output: Path
    on_progress: Progress

    def backgrounds(self) -> dict[str, Any]:
        num_views = _BACKGROUND_VIEWS * self.settings.views
        study = study_backgrounds(
            self.model, self.engine, self.instances, num_views, self.settings.seed,
            self._told("backgrounds"),
        )  # fmt: skip
        write_background_sheet(self.output / "backgrounds.png", study, self.model.keypoints)
        canonical = self.model.keypoints.canonical
        return summarize_backgrounds(study, canonical, num_views, self.settings.seed)

    def sweeps(self, sweeps: Sequence[Sweep]) -> dict[str, Any]:
        if not sweeps:
            return {}
        settings = self.settings
        examiner = Examiner(self.model, self.engine, DetectorSettings(max_runs=settings.looks))
        records = run_sweeps(
            examiner, self.instances, settings.views, settings.seed, sweeps=sweeps,
            on_progress=self._told("sweeps"),
        )  # fmt: skip
        result = {}
        for sweep in sweeps:
            record = records[sweep.name]
            entry: dict[str, Any] = {
                "label": sweep.label,
                "values": sweep.values,
                "logarithmic": sweep.logarithmic,
            }
            for name in BACKGROUNDS:
                rows = [summarize_trials(trials, settings.seed) for trials in record.trials[name]]
                entry[name] = [asdict(row) for row in rows]
            result[sweep.name] = entry
            title = f"{self.model.name}: {sweep.label}, {entry['black'][0]['views']} views each"
            write_curves(self.output / f"sweep_{sweep.name}.png", entry, title)
            sheet = self.output / f"views_{sweep.name}.png"
            write_sweep_sheet(sheet, sweep, record, self.model.keypoints)
        return result

    def deformation(self) -> dict[str, Any]:
        num_views = _DEFORMATION_VIEWS * self.settings.views
        with_landmarks = [i for i in self.instances if isinstance(i, ProceduralInstance)]
        study = study_deformation(
            self.model, self.engine, with_landmarks, num_views, self.settings.seed,
            on_progress=self._told("deformation"),
        )  # fmt: skip
        write_deformation_sheet(self.output / "deformation.png", study, self.model.keypoints)
        return summarize_deformation(study)

    def _told(self, part: str) -> Callable[[int], None]:
        return lambda done: self.on_progress(part, done, len(self.instances))
