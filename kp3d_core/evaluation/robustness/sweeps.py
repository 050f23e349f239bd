"""Sweeps: one property of the view changes, everything else of the same views stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kp3d_core.data.objects import Instance
from kp3d_core.evaluation.robustness.placement import ViewSpec
from kp3d_core.evaluation.robustness.scenes import Scene, Setting, draw_setting, shoot
from kp3d_core.evaluation.robustness.trials import Examiner, Trial
from kp3d_core.rendering.packing import PackedMesh, pack

_SETTING_STREAM = 0x73776565
"""Keeps the random numbers of sweeps apart from those of the other measurements."""


@dataclass(frozen=True)
class Sweep:
    """A property of `ViewSpec` and the values that it takes."""

    name: str
    field: str
    """Attribute of `ViewSpec`."""
    title: str
    unit: str
    values: tuple[float, ...]
    logarithmic: bool = False
    """Whether a plot shows the values so."""

    @property
    def label(self) -> str:
        """Title with unit."""
        return f"{self.title} [{self.unit}]"

    def change(self, spec: ViewSpec, value: float) -> ViewSpec:
        """The view with this value."""
        changed: dict[str, Any] = {self.field: value}
        return replace(spec, **changed)


SWEEPS: tuple[Sweep, ...] = (
    Sweep("fov", "fov_deg", "full field of view", "deg", (5.0, 10.0, 20.0, 30.0, 45.0, 60.0)),
    Sweep(
        "elevation",
        "elevation_deg",
        "elevation of the camera",
        "deg",
        (0.0, 15.0, 30.0, 45.0, 60.0, 75.0, 87.0),  # at 90 nothing says what is upright
    ),
    Sweep("roll", "roll_deg", "roll", "deg", (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)),
    Sweep(
        "size",
        "size_px",
        "longer side of the object",
        "px",
        (24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0, 256.0, 384.0),
        logarithmic=True,
    ),
    Sweep(
        "truncation",
        "truncated_percent",
        "silhouette outside the image",
        "%",
        (0.0, 10.0, 20.0, 30.0, 40.0),
    ),
    Sweep("occlusion", "occluded_percent", "silhouette hidden", "%", (0.0, 10.0, 20.0, 30.0, 40.0)),
)
"""All sweeps. 240 px, 45 degrees and upright is what each starts from, see `ViewSpec`."""

BACKGROUNDS = ("black", "textured")
"""Each view of a sweep is seen before both."""


@dataclass(frozen=True, eq=False)
class Look:
    """One view with the detector's answers."""

    trials: dict[str, Trial]
    """By background."""
    scene: Scene | None
    """What was looked at, if it is kept to be shown."""


@dataclass
class SweepRecord:
    """Trials of one sweep, and scenes to show."""

    trials: dict[str, list[list[list[Trial]]]]
    """By background; value of the sweep, object, view."""
    examples: list[list[Look]]
    """Some views, each over the values of the sweep."""


def run_sweeps(
    examiner: Examiner,
    instances: Sequence[Instance],
    num_views: int,
    seed: int,
    *,
    sweeps: Sequence[Sweep] = SWEEPS,
    num_examples: int = 4,
    on_progress: Callable[[int], None] = lambda done: None,
) -> dict[str, SweepRecord]:
    """Try every value of every sweep in `num_views` settings of each object.

    Of the first objects the first view is kept, to be shown.
    """
    records = {
        sweep.name: SweepRecord({name: [[] for _ in sweep.values] for name in BACKGROUNDS}, [])
        for sweep in sweeps
    }
    for done, instance in enumerate(instances):
        mesh = pack(instance.mesh)
        for view in range(num_views):
            stream = (_SETTING_STREAM, seed, instance.seed, view)
            setting = draw_setting(stream, instance.category)
            keep = view == 0 and done < num_examples
            # Sweeps meet where nothing is changed; that view is looked at once.
            looks: dict[ViewSpec, Look] = {}
            for sweep in sweeps:
                row = []
                for value in sweep.values:
                    spec = sweep.change(setting.spec, value)
                    if spec not in looks:
                        looks[spec] = _look(examiner, mesh, setting, spec, keep)
                    row.append(looks[spec])
                _add(records[sweep.name], row, starts_object=view == 0)
        on_progress(done + 1)
    return records


def _look(
    examiner: Examiner, mesh: PackedMesh, setting: Setting, spec: ViewSpec, keep: bool
) -> Look:
    scene = shoot(mesh, setting, spec)
    trials = {name: examiner.examine(scene, name) for name in BACKGROUNDS}
    return Look(trials, scene if keep else None)


def _add(record: SweepRecord, row: Sequence[Look], starts_object: bool) -> None:
    """Add one view, over the values of the sweep, to the object that is being looked at."""
    for name in BACKGROUNDS:
        for objects, look in zip(record.trials[name], row, strict=True):
            if starts_object:
                objects.append([])
            objects[-1].append(look.trials[name])
    if row[0].scene is not None:
        record.examples.append(list(row))
