"""A list of mesh files: which category each one is of, how it is turned, what it may be used for.

A YAML or JSON file, `{"meshes": [entry, ...]}`, as `kp3d import` writes it or made by hand, with
one entry for each object:

- `category`: such as "car".
- `files`: one or more paths, relative to the list; an object may consist of several files.
- `R_kp3d_from_file`: 3x3 rotation from file coordinates to the object frame (x forward, y left,
  z up).
- `split`: "train", "val" or "test". Or `train_ok`: whether it may serve for training; the others
  then are for measuring only.
- `source`: whose it is; optional.

Other keys are ignored.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray


@dataclass(frozen=True)
class MeshEntry:
    """One object of a list."""

    name: str
    """Path of its first file, as listed."""
    category: str
    files: tuple[Path, ...]
    rotation: tuple[float, ...]
    """R_object_file, row by row."""
    source: str
    splits: tuple[str, ...]
    """Which sets it may appear in."""

    @property
    def R_object_file(self) -> NDArray[np.float64]:
        """Rotation from file coordinates to the object frame, shape (3, 3)."""
        return np.array(self.rotation).reshape(3, 3)


@dataclass(frozen=True)
class MeshList:
    """The meshes of one category."""

    path: Path
    entries: tuple[MeshEntry, ...]
    digest: str
    """Of the list's content."""
    symmetry: str = "none"
    """One of `symmetry.SYMMETRIES`."""


def read_mesh_list(path: Path, category: str, split: str) -> MeshList:
    """Read the meshes of a category that belong to a split.

    Raises:
        ValueError: no such file, not a list of meshes, or none of the category in it.
    """
    if not path.is_file():
        raise ValueError(
            f"meshes must be a list of mesh files (YAML or JSON), got {path}, which does not "
            "exist. Make it with `kp3d import`."
        )
    content = path.read_bytes()
    try:
        document = yaml.safe_load(content)
        entries = [_entry(path.parent, values) for values in document["meshes"]]
    except (KeyError, TypeError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ValueError(
            f'{path} must be a list of meshes {{"meshes": [{{"category", "files", '
            f'"R_kp3d_from_file", "split"}}, ...]}}, got {error!r}. Mend the list.'
        ) from error
    chosen = tuple(e for e in entries if e.category == category and split in e.splits)
    if not chosen:
        raise ValueError(
            f"{path} must hold meshes of the category {category!r} for the split {split!r}, got "
            "none. Add some, or choose another list."
        )
    missing = [str(file) for entry in chosen for file in entry.files if not file.is_file()]
    if missing:
        raise ValueError(
            f"All files listed in {path} must exist, {len(missing)} do not: "
            f"{', '.join(missing[:3])}. Restore them, or take their entries out."
        )
    symmetry = str(document.get("symmetry", "none"))
    return MeshList(path, chosen, hashlib.sha256(content).hexdigest()[:16], symmetry)


def _entry(folder: Path, values: dict[str, Any]) -> MeshEntry:
    rotation = np.array(values["R_kp3d_from_file"], np.float64)
    proper = rotation.shape == (3, 3) and np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
    if not proper or np.linalg.det(rotation) < 0:
        raise ValueError(
            f"R_kp3d_from_file of {values['files'][0]} must be a proper rotation, got "
            f"{rotation.tolist()}"
        )
    return MeshEntry(
        name=values["files"][0],
        category=values["category"],
        files=tuple(folder / file for file in values["files"]),
        rotation=tuple(rotation.ravel().tolist()),
        source=values.get("source", ""),
        splits=_splits(values),
    )


def _splits(values: dict[str, Any]) -> tuple[str, ...]:
    """The sets that an entry belongs to: the one it names, or all that its permission allows."""
    if "split" in values:
        return tuple(str(values["split"]).split())
    return ("train",) if values["train_ok"] else ("val", "test")
