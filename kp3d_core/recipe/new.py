"""`kp3d new`: a folder of meshes becomes a model, by a recipe that is written and then built."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from kp3d_core.data.objects import object_category
from kp3d_core.files import check_output_folder, exclusive_lock, sha256_of, write_text
from kp3d_core.objects.meshes.archive import open_mesh
from kp3d_core.objects.meshes.category import import_category
from kp3d_core.objects.meshes.importing import ImportReport, ImportSettings
from kp3d_core.progress import Report, silent
from kp3d_core.recipe.settings import MAX_BYTES
from kp3d_core.recipe.stages import Stage, run_stages
from kp3d_core.yaml_files import read_yaml

FULL_TIME_S = 90 * 60.0
"""In which the whole recipe is made on two cores; in less time there are fewer objects, too."""
START = "car_lite_64"
"""Weights that have seen photographs, which every new category starts from."""
_ANCHORS = 0.8
"""Semi-axes of the first guess of the keypoints, as a share of those of the objects' box."""
_HEADER = """\
# Written by `kp3d new`. To change it, edit it, then: kp3d build {path} -o {folder}
# What is not said here is the default in kp3d_core/recipe/settings.py.
"""


@dataclass(frozen=True)
class NewModel:
    """A folder of meshes, and the run folder that its model is made in."""

    settings: ImportSettings
    meshes: Path
    output: Path
    time_s: float = FULL_TIME_S
    """That the model is to be made in [s]."""
    backgrounds: Path | None = None
    """Folder of photographs to put behind the objects."""
    references: Sequence[NDArray[np.float64]] = ()
    """Points on objects of the category that stand right, if there are any."""
    report: Report = silent

    @property
    def category_file(self) -> Path:
        """What the import writes."""
        return self.output / "category" / f"{self.settings.category}.yaml"

    @property
    def recipe_file(self) -> Path:
        """What `Build` makes the model from."""
        return self.output / "recipe.yaml"

    def prepare(self) -> tuple[ImportReport, list[Path]] | None:
        """Import the meshes and write the recipe, where that is not done.

        Returns:
            What became of each file, and contact sheets; None if they were imported already.

        Raises:
            ValueError: no usable meshes, or a folder that holds something else.
        """
        check_output_folder(self.output, ".build", holds="a run of `kp3d new`")
        (self.output / ".build").mkdir(parents=True, exist_ok=True)
        told: list[tuple[ImportReport, list[Path]]] = []
        with exclusive_lock(self.output):
            run_stages(self.output, [self._import(told)])
            self._write_recipe()
        return told[0] if told else None

    def _import(self, told: list[tuple[ImportReport, list[Path]]]) -> Stage:
        folder = self.category_file.parent

        def run() -> None:
            shutil.rmtree(folder, ignore_errors=True)  # of an import that was killed
            told.append(
                import_category(
                    self.meshes,
                    self.category_file,
                    self.settings,
                    self.references,
                    lambda done, total: self.report("reading meshes", done, total),
                )
            )

        inputs = {"settings": self.settings, "files": files_digest(self.meshes)}
        return Stage("import", folder, inputs, ("kp3d_core.objects.meshes",), run)

    @property
    def recipe_is_edited(self) -> bool:
        """Whether the recipe is another one than was written."""
        return sha256_of(self.recipe_file) != self._written.read_text()

    @property
    def _written(self) -> Path:
        """Keeps the digest of the recipe as it was written."""
        return self.output / ".build" / "written_recipe.sha256"

    def _write_recipe(self) -> None:
        """Write it; if it was edited since, that counts."""
        content = new_recipe(self.category_file, self.output, self.time_s)
        if self.backgrounds is not None:
            content["backgrounds"] = str(self.backgrounds.resolve())
        if self.recipe_file.is_file():
            found = read_yaml(self.recipe_file, MAX_BYTES)
            if not isinstance(found, dict) or found.get("category") != content["category"]:
                raise ValueError(
                    f"{self.output} must be of the category {self.settings.category}, but its "
                    "recipe.yaml is of another one. Choose another folder."
                )
            if self.recipe_is_edited:
                return
        header = _HEADER.format(path=self.recipe_file, folder=self.output)
        text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
        write_text(self._written, hashlib.sha256((header + text).encode()).hexdigest())
        write_text(self.recipe_file, header + text)


def new_recipe(category_file: Path, folder: Path, time_s: float) -> dict[str, Any]:
    """Recipe of an imported category, made to fit into a time on two cores.

    Args:
        category_file: of the category.
        folder: of the recipe, which the file is named relative to.
        time_s: up to `FULL_TIME_S` it decides how many objects there are [s].
    """
    share = min(1.0, time_s / FULL_TIME_S)

    def at_least(least: int, full: int) -> int:
        return max(least, round(share * full))

    seen = {"camera": "eye_level", "light": "varied"}
    return {
        "category": str(category_file.relative_to(folder)),
        "data": {
            "train": {"instances": at_least(40, 600), "views": 24, **seen},
            "finetune": {
                "instances": at_least(40, 900), "views": 16, "seed_offset": 30_000, **seen
            },
            "val": {"instances": at_least(10, 60), "views": 16, **seen},
        },
        "train": [
            {
                "steps": 6000,
                "presets": ["photographs"],
                "model": {
                    "initial_weights": START,
                    "anchor_semi_axes": _anchor_semi_axes(category_file),
                },
            }
        ],
        "finetune": {"steps": 3000, "warmup_steps": at_least(200, 2000)},
        "package": {
            "encounters": at_least(200, 800),
            "surface": {"objects": at_least(40, 300), "heldout_objects": at_least(10, 50)},
        },
    }  # fmt: skip


def files_digest(folder: Path) -> str:
    """Of the names, sizes and times of all files in a folder and below: meshes and textures."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            facts = path.stat()
            told = f"{path.relative_to(folder)}\0{facts.st_size}\0{facts.st_mtime_ns}\n"
            digest.update(told.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _anchor_semi_axes(category_file: Path) -> list[float]:
    """Where keypoints start: on an ellipsoid in the box of the objects to train on."""
    entries = object_category(str(category_file)).lists["train"].entries
    halves = [np.ptp(open_mesh(entry.files[0]).bounds, axis=0) / 2 for entry in entries]
    return [round(_ANCHORS * float(half), 2) for half in np.median(halves, axis=0)]
