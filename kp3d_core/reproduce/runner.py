"""The stages of an experiment: render, train, measure. Each is done once, whatever kills the run.

Layout: `<data>/<category>/<split>` holds rendered sets, `<output>/<category>/<row>` a run folder of
`kp3d train` with, when it is finished, `trained.json`, `result.json` and `result.npz`. Training and
measuring are stages as those of `kp3d build`: what has changed is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kp3d_core.data.cameras import camera_to_dict
from kp3d_core.data.generate import GenerateSettings, generate
from kp3d_core.data.manifest import MANIFEST_NAME, read_manifest
from kp3d_core.data.shards import read_instances
from kp3d_core.files import exclusive_lock, sha256_of
from kp3d_core.provenance import provenance
from kp3d_core.recipe.code import TRAINING_CODE
from kp3d_core.recipe.stages import Stage, run_stages
from kp3d_core.reproduce.measure import Result, measure
from kp3d_core.reproduce.paper import CATEGORIES
from kp3d_core.reproduce.settings import IMAGE_SIZE, Settings, write_json
from kp3d_core.training.checkpoint import load_checkpoint
from kp3d_core.training.run import run_training

SPLITS = ("train", "val", "test")
Results = dict[str, dict[str, Result]]
"""By category and name of the row."""
_ARRAYS = ("rotation_deg", "sheet_rgb", "sheet_uv")
"""Parts of a result in result.npz."""


@dataclass(frozen=True)
class Row:
    """One training of a table."""

    name: str
    """Folder and key in JSON."""
    title: str
    """As printed."""
    configs: tuple[str, ...]
    """Files in the configuration folder, after which the category's own comes."""
    has_flag: bool = True
    """Whether the method predicts the orientation flag."""


@dataclass(frozen=True)
class Runner:
    """Does what is still to do in an experiment's folders."""

    output: Path
    data: Path
    configs: Path
    """Folder of training configurations: `config/train`."""
    settings: Settings
    jobs: int = 1
    """Processes that render."""
    say: Callable[[str], None] = lambda text: None
    """Told what begins."""

    @contextmanager
    def category(self, category: str) -> Iterator[None]:
        """Hold the category's results against other processes; render what is missing.

        Raises:
            ValueError: no such category, another process at work there, or other data there.
        """
        if category not in CATEGORIES:
            raise ValueError(
                f"category must be one of {', '.join(CATEGORIES)}, got {category!r}. Choose one."
            )
        folder = self.output / category
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(folder):
            for split in SPLITS:
                self._render(category, split)
            yield

    def checkpoint(self, category: str, row: Row) -> Path:
        """Where a row's training ends."""
        return self.output / category / row.name / "checkpoints" / "last.ckpt"

    def train(self, category: str, row: Row, overrides: Sequence[str] = ()) -> Path:
        """Train a row to the end of its budget, unless that is done.

        Returns:
            Its last checkpoint: every row is measured after the same number of steps.

        Raises:
            ValueError: settings or data cannot be used.
            RuntimeError: the training stopped early.
        """
        checkpoint = self.checkpoint(category, row)
        folder = checkpoint.parents[1]
        sets = {split: self.data / category / split for split in ("train", "val")}
        configs = [self.configs / name for name in (*row.configs, f"{category}.yaml")]

        def run() -> None:
            run_training(
                configs,
                folder,
                [
                    *(f"--data.{split}={rendered}" for split, rendered in sets.items()),
                    f"--trainer.max_steps={self.settings.budget}",
                    *overrides,
                    *self.settings.overrides,
                ],
            )
            self._require_all_steps(category, row)

        inputs = {
            "configs": [config.read_text() for config in configs],
            "overrides": [*overrides, *self.settings.overrides],
            "budget": self.settings.budget,
            "sets": [read_manifest(rendered).sha256 for rendered in sets.values()],
        }
        stage = Stage(f"{row.name}_train", folder, inputs, TRAINING_CODE, run)
        run_stages(self.output / category, [stage], self._say(category))
        return checkpoint

    def _require_all_steps(self, category: str, row: Row) -> None:
        checkpoint = self.checkpoint(category, row)
        trained = load_checkpoint(checkpoint)
        if trained.steps < self.settings.budget:
            raise RuntimeError(
                f"The training of {row.name} on {category} stopped at step {trained.steps} of "
                f"{self.settings.budget}. The same command continues it."
            )
        per_step = trained.data["objects_per_batch"] * trained.data["views_per_object"]
        write_json(
            checkpoint.parents[1] / "trained.json",
            {"steps": trained.steps, "images": trained.steps * per_step, **provenance()},
        )

    def measure(self, category: str, row: Row) -> bool:
        """Measure a trained row on the test set; False if that is done already."""
        checkpoint = self.checkpoint(category, row)
        folder, test = checkpoint.parents[1], self.data / category / "test"

        def run() -> None:
            result = measure(checkpoint, test, self.settings.pairs, row.has_flag)
            np.savez_compressed(
                folder / "result.npz", **{name: getattr(result, name) for name in _ARRAYS}
            )
            trained = json.loads((folder / "trained.json").read_text())
            figures = {**result.figures, "steps": trained["steps"], "images": trained["images"]}
            write_json(folder / "result.json", figures)

        inputs = {
            "checkpoint": sha256_of(checkpoint),
            "test": read_manifest(test).sha256,
            "pairs": self.settings.pairs,
        }
        code = ("kp3d_core.evaluation", "kp3d_core.models", "kp3d_core.reproduce.measure")
        result = folder / "result.json"
        stage = Stage(f"{row.name}_measure", result, inputs, code, run)
        return bool(run_stages(self.output / category, [stage], self._say(category)))

    def _say(self, category: str) -> Callable[[str], None]:
        return lambda text: self.say(f"{category}, {text}")

    def results(self, rows: Sequence[Row]) -> Results:
        """What has been measured, of all categories in the output folder."""
        found = {
            category: {
                row.name: self._result(category, row)
                for row in rows
                if (self.output / category / row.name / "result.json").exists()
            }
            for category in CATEGORIES
        }
        return {category: results for category, results in found.items() if results}

    @contextmanager
    def report(self) -> Iterator[Path]:
        """The output folder, for one process at a time; others wait."""
        with exclusive_lock(self.output, wait=True):
            yield self.output

    def _result(self, category: str, row: Row) -> Result:
        folder = self.output / category / row.name
        with np.load(folder / "result.npz") as arrays:
            figures = json.loads((folder / "result.json").read_text())
            return Result(figures, *(arrays[name] for name in _ARRAYS))

    def num_landmarks(self, category: str) -> int:
        """Number of landmarks of a rendered category."""
        return len(next(read_instances(self.data / category / "train")).landmarks)

    def _render(self, category: str, split: str) -> None:
        folder, size = self.data / category / split, self.settings.size(split)
        wanted = GenerateSettings(
            category=category,
            split=split,
            instances=size.instances,
            views=size.views,
            image_size=IMAGE_SIZE,
        )
        if not is_rendered(folder, wanted):
            self.say(f"{category}: rendering {size} {split} views into {folder}")
            generate(wanted, folder, jobs=self.jobs)


def is_rendered(folder: Path, wanted: GenerateSettings) -> bool:
    """Whether a folder holds the complete set, be it by an earlier version of the generator."""
    if not (folder / MANIFEST_NAME).is_file():
        return False
    found = read_manifest(folder)
    same = (
        found.category == wanted.category
        and found.split == wanted.split
        and found.seed_offset == wanted.seed_offset
        and found.camera == camera_to_dict(wanted.camera)
        and (found.image_size, found.views) == (wanted.image_size, wanted.views)
    )
    return same and found.complete and found.samples == wanted.instances
