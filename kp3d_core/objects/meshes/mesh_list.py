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

Beside the list, `symmetry` about z may be said: "none", "two-fold" or "full". Other keys are
ignored.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.files import sha256_of
from kp3d_core.geometry.symmetry import SYMMETRIES
from kp3d_core.yaml_files import read_yaml

_MAX_BYTES = 256 << 20
"""Of a list: 51,000 meshes take 20 MB."""


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
    symmetry: str = "none"
    """One of `geometry.symmetry.SYMMETRIES`."""

    @cached_property
    def digest(self) -> str:
        """Of these entries and of the content of their files."""
        digest = hashlib.sha256(self.symmetry.encode())
        for entry in self.entries:
            facts = (entry.name, entry.category, entry.rotation, entry.source)
            digest.update(repr(facts).encode())
            for file in entry.files:
                digest.update(sha256_of(file).encode())
        return digest.hexdigest()[:16]


def read_mesh_list(path: Path, category: str, split: str) -> MeshList:
    """Read the meshes of a category that belong to a split.

    Raises:
        ValueError: no such file, not a list of meshes, or none of the category in it.
    """
    document = _document(path)
    return _chosen(path, document, _entries(path, document), category, split)


def read_category(path: Path) -> tuple[str, dict[str, MeshList]]:
    """Read the name of the one category that a list is of, and the meshes of each split.

    Raises:
        ValueError: as `read_mesh_list`, or meshes of several categories.
    """
    document = _document(path)
    entries = _entries(path, document)
    names = sorted({entry.category for entry in entries})
    if len(names) != 1 or not names[0].isidentifier():
        raise ValueError(
            f"{path} must hold meshes of one category with a word as its name, got "
            f"{', '.join(names)[:80] or 'none'}. Make a list for each."
        )
    splits = ("train", "val", "test")
    return names[0], {s: _chosen(path, document, entries, names[0], s) for s in splits}


def _entries(path: Path, document: dict[str, Any]) -> list[MeshEntry]:
    try:
        return [_entry(path.parent, values) for values in document["meshes"]]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _no_list(path, error) from error


def _chosen(
    path: Path, document: dict[str, Any], entries: list[MeshEntry], category: str, split: str
) -> MeshList:
    """Those of a category and a split, all of whose files are there."""
    chosen = tuple(e for e in entries if e.category == category and split in e.splits)
    if not chosen:
        raise ValueError(
            f"{path} must hold meshes of the category {category!r} for the split {split!r}, got "
            "none. Add some, or choose another list."
        )
    missing = [str(f) for entry in chosen for f in entry.files if not os.path.isfile(f)]  # noqa: PTH113 - of names that no file can have, Path.is_file raises
    if missing:
        raise ValueError(
            f"All files listed in {path} must exist, {len(missing)} do not: "
            f"{', '.join(missing[:3])}. Restore them, or take their entries out."
        )
    symmetry = document.get("symmetry", "none")
    if symmetry not in SYMMETRIES:
        raise ValueError(
            f"symmetry in {path} must be one of {', '.join(SYMMETRIES)}, got {symmetry!r:.60}."
        )
    return MeshList(path, chosen, symmetry)


def _document(path: Path) -> dict[str, Any]:
    """Content of a list.

    Raises:
        ValueError: no such file, or not a list of meshes.
    """
    if not path.is_file():
        raise ValueError(
            f"meshes must be a list of mesh files (YAML or JSON), got {path}, which does not "
            "exist. Make it with `kp3d import`."
        )
    try:
        document = read_yaml(path, _MAX_BYTES)
    except ValueError as error:
        raise _no_list(path, error) from error
    if not isinstance(document, dict) or not isinstance(document.get("meshes"), list):
        raise _no_list(path, "something else")
    return document


def _no_list(path: Path, found: object) -> ValueError:
    told = repr(found) if isinstance(found, KeyError) else found
    return ValueError(
        f'{path} must be a list of meshes {{"meshes": [{{"category", "files", '
        f'"R_kp3d_from_file", "split"}}, ...]}}, got {told}. Mend the list.'
    )


def _entry(folder: Path, values: dict[str, Any]) -> MeshEntry:
    rotation = np.array(values["R_kp3d_from_file"], np.float64)
    bounded = rotation.shape == (3, 3) and bool((np.abs(rotation) < 2).all())  # no NaN either
    proper = bounded and np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
    if not proper or np.linalg.det(rotation) < 0:
        raise ValueError(
            f"R_kp3d_from_file of {values['files'][0]} must be a proper rotation, got "
            f"{rotation.tolist()}"
        )
    files = values["files"]
    if not isinstance(files, list) or not files:
        raise ValueError(f"files must be a list of paths, got {files!r:.60}")
    return MeshEntry(
        name=files[0],
        category=str(values["category"]),
        files=tuple(folder / file for file in files),
        rotation=tuple(rotation.ravel().tolist()),
        source=str(values.get("source", "")),
        splits=_splits(values),
    )


def _splits(values: dict[str, Any]) -> tuple[str, ...]:
    """The sets that an entry belongs to: the one it names, or all that its permission allows."""
    if "split" in values:
        return tuple(str(values["split"]).split())
    return ("train",) if values["train_ok"] else ("val", "test")
