"""An experiment of the paper, made of the stages that recipes are made of: render, train, measure.

Rendered sets are in `<data>/<category>/<split>_<size>`, runs in `<output>/<category>/<row>`, with
`result.json` and `result.npz` when they are measured. What has changed since is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kp3d_core.data.generate import GenerateSettings
from kp3d_core.data.objects import object_category
from kp3d_core.data.procedural import make_instance
from kp3d_core.files import check_output_folder, exclusive_lock, write_json
from kp3d_core.recipe.parts import data_stage, last_checkpoint, training_stage
from kp3d_core.recipe.settings import PhaseSettings
from kp3d_core.recipe.stages import Stage, is_done, run_stages
from kp3d_core.reproduce.measure import Result, measure
from kp3d_core.reproduce.paper import CATEGORIES
from kp3d_core.reproduce.settings import IMAGE_SIZE, Settings

Results = dict[str, dict[str, Result]]
"""By category and name of the row."""
_ARRAYS = ("rotation_deg", "sheet_rgb", "sheet_uv")
"""Parts of a result in result.npz."""
_MEASURING = ("kp3d_core.evaluation", "kp3d_core.models", "kp3d_core.reproduce.measure")


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
    supervised: bool = False
    """Whether its keypoints are the category's landmarks."""
    orientation: Row | None = None
    """Training whose orientation network it is given."""


@dataclass(frozen=True)
class Reproduction:
    """Rows of a table, and where they are made."""

    rows: tuple[Row, ...]
    output: Path
    data: Path
    configs: Path
    """Folder of training configurations: `config/train`."""
    settings: Settings
    jobs: int = 1
    """Processes that render."""
    say: Callable[[str], None] = lambda text: None
    """Told what begins."""

    def run(
        self, categories: Sequence[str], names: Sequence[str], write: Callable[[], None]
    ) -> None:
        """Do what is still to do.

        Args:
            categories: of the paper.
            names: of rows; all if empty.
            write: writes the table; called after each row that was not done already, and at the
                end.

        Raises:
            ValueError: no such category or row, or another process at work there.
            RuntimeError: a training stopped early.
        """
        for what, chosen, known in (
            ("category", categories, CATEGORIES),
            ("variant", names, [row.name for row in self.rows]),
        ):
            if unknown := [name for name in chosen if name not in known]:
                raise ValueError(
                    f"{what} must be one of {', '.join(known)}, got {', '.join(unknown)}. Choose "
                    "one."
                )
        check_output_folder(self.output, *CATEGORIES, holds="an experiment of `kp3d reproduce`")
        for category in categories:
            folder, say = self.output / category, self._say(category)
            with _held(folder, wait=False):
                with _held(self.data / category, wait=True):  # other experiments share it
                    run_stages(self.data / category, self._sets(category), say)
                for row in self.rows:
                    if names and row.name not in names:
                        continue
                    if run_stages(folder, self.stages(category, row), say):
                        write()
        write()

    def checkpoint(self, category: str, row: Row) -> Path:
        """Where a row's training ends: every row is measured after the same number of steps."""
        return last_checkpoint(self.output / category / row.name)

    def results(self) -> Results:
        """What has been measured with these settings, of all categories in the output folder."""
        found = {
            category: {
                row.name: self._result(category, row)
                for row in self.rows
                if is_done(self.output / category, self.stages(category, row)[-1])
            }
            for category in CATEGORIES
        }
        return {category: results for category, results in found.items() if results}

    def stages(self, category: str, row: Row) -> list[Stage]:
        """Training, and that of the orientation network before it; measuring."""
        sets = {stage.name: stage for stage in self._sets(category)}
        train, val, test = (sets[f"data_{self._set_name(s)}"] for s in ("train", "val", "test"))
        inputs = {"sets": [train.key, val.key], "overrides": self.settings.overrides}

        def training(row: Row, weights: dict[str, Path]) -> Stage:
            presets = tuple(str(self.configs / n) for n in (*row.configs, f"{category}.yaml"))
            model = {}
            if row.supervised:
                model["num_keypoints"] = len(make_instance(category, 0).landmarks)
            return training_stage(
                self.output / category / row.name,
                PhaseSettings(self.settings.budget, presets, model),
                {"train": train.folder, "val": val.folder},
                inputs,
                weights=weights,
                overrides=self.settings.overrides,
            )

        first, weights = [], {}
        if row.orientation is not None:
            first.append(training(row.orientation, {}))
            inputs["before"] = first[0].key
            weights["orientation_checkpoint"] = self.checkpoint(category, row.orientation)
        trained = training(row, weights)

        def measured() -> None:
            result = measure(
                last_checkpoint(trained.folder), test.folder, self.settings.pairs, row.has_flag
            )
            arrays = {name: getattr(result, name) for name in _ARRAYS}
            np.savez_compressed(trained.folder / "result.npz", **arrays)
            write_json(trained.folder / "result.json", result.figures)

        measuring = Stage(
            f"{row.name}_measure",
            trained.folder / "result.json",
            {"trained": trained.key, "test": test.key, "pairs": self.settings.pairs},
            _MEASURING,
            measured,
        )
        return [*first, trained, measuring]

    def _sets(self, category: str) -> list[Stage]:
        """What is rendered; folders are named by the size, so that experiments can share them."""
        objects, stages = object_category(category), []
        for split in ("train", "val", "test"):
            name, size = self._set_name(split), self.settings.size(split)
            wanted = GenerateSettings(
                category, split, size.instances, size.views, image_size=IMAGE_SIZE
            )
            folder = self.data / category / name
            stages.append(data_stage(name, folder, wanted, objects, self.jobs))
        return stages

    def _set_name(self, split: str) -> str:
        return f"{split}_{self.settings.size(split)}"

    def _result(self, category: str, row: Row) -> Result:
        folder = self.output / category / row.name
        with np.load(folder / "result.npz") as arrays:
            figures = json.loads((folder / "result.json").read_text())
            return Result(figures, *(arrays[name] for name in _ARRAYS))

    def _say(self, category: str) -> Callable[[str], None]:
        return lambda text: self.say(f"{category}, {text}")


@contextmanager
def _held(folder: Path, wait: bool) -> Iterator[None]:
    """A folder, made if it is missing, for one process at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder, wait):
        yield
