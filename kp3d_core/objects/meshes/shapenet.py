"""Folders of ShapeNetCore: names of its models, models without a mesh, and its official split.

Layouts: v1 `<synset>/<id>/model.obj`; v2 `<synset>/<id>/models/model_normalized.obj`, with textures
in `<synset>/<id>/images`. A synset has eight digits. The split is a table `all.csv` with the
columns id, synsetId, subSynsetId, modelId and split.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

_SYNSET = re.compile(r"\d{8}")
_TABLE = "all.csv"
_MAX_TABLE_BYTES = 64 << 20
_SPLITS = ("train", "val", "test")


def model_folder(file: Path) -> Path | None:
    """The folder `<synset>/<id>` that a mesh is the model of, if it lies in one of the layouts.

    Args:
        file: absolute path of a mesh.
    """
    names = (file.parent.name, file.name)
    if names == ("models", "model_normalized.obj"):
        folder = file.parents[1]
    elif file.name == "model.obj":
        folder = file.parent
    else:
        return None
    return folder if _SYNSET.fullmatch(folder.parent.name) else None


def folders_without_mesh(folder: Path, files: Iterable[Path]) -> list[Path]:
    """Folders of models, of synsets at or below a folder, that hold none of the meshes."""
    synsets = {
        found.parent for file in files if (found := model_folder(file.absolute())) is not None
    }
    filled = {parent for file in files for parent in file.absolute().parents}
    return sorted(
        model
        for synset in synsets
        if synset.is_relative_to(folder.absolute())
        for model in synset.iterdir()
        if model.is_dir() and not model.name.startswith(".") and model not in filled
    )


def official_splits(folder: Path) -> dict[str, str]:
    """The split of each model by its id, from the table in a folder or beside it; else nothing.

    Raises:
        ValueError: there is a table that cannot be read.
    """
    for path in (folder / _TABLE, folder.absolute().parent / _TABLE):
        if path.is_file():
            return _read_table(path)
    return {}


def _read_table(path: Path) -> dict[str, str]:
    if path.stat().st_size > _MAX_TABLE_BYTES:
        raise ValueError(f"{path} must be under 64 MB. Is it ShapeNet's table of splits?")
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = csv.DictReader(stream, skipinitialspace=True)
            splits = {row["modelId"]: row["split"] for row in rows}
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} must be ShapeNet's table of splits (columns modelId and split), got "
            f"{error!r}. Restore it, or take it away: the meshes are then split by name."
        ) from error
    wrong = {str(split) for split in splits.values()} - {*_SPLITS}
    if wrong:
        raise ValueError(
            f"split in {path} must be one of {', '.join(_SPLITS)}, got {sorted(wrong)[0]!r}. "
            "Mend the table, or take it away: the meshes are then split by name."
        )
    return splits
