"""A folder of mesh files becomes a category: checked, oriented, normalised and split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from kp3d_core.files import atomic_writer, replaced_folder
from kp3d_core.geometry.symmetry import SYMMETRIES
from kp3d_core.objects.meshes.archive import open_mesh, save_mesh
from kp3d_core.objects.meshes.isolation import MeshReader
from kp3d_core.objects.meshes.orientation import (
    CONVENTIONS,
    MIRRORED,
    align_yaw,
    guess_up,
    sample_surface,
    turn_of_axes,
)
from kp3d_core.objects.meshes.reading import turned
from kp3d_core.objects.meshes.shapenet import folders_without_mesh, model_folder, official_splits
from kp3d_core.objects.meshes.symmetry import common_symmetry, symmetry_of
from kp3d_core.rendering.mesh import Mesh

FloatArray = NDArray[np.float64]

SUFFIXES = (".obj", ".glb", ".gltf", ".ply", ".stl", ".dae", ".off")
_UNREAD = (".fbx", ".blend", ".step", ".stp", ".iges", ".3ds", ".max", ".usd", ".usdz", ".x3d")
_GLTF = (".glb", ".gltf")


@dataclass(frozen=True)
class ImportSettings:
    """What the user says about the files."""

    category: str
    up: str = ""
    """Axis of the files that points up, such as "y"; empty: known from the format, or guessed."""
    front: str = ""
    """Axis of the files that points forwards; empty: known from the format, or guessed."""
    convention: str = ""
    """Name in `CONVENTIONS` instead of `up` and `front`."""
    symmetry: str = ""
    """One of `SYMMETRIES`; empty: detected."""

    def __post_init__(self) -> None:
        """Check everything, and report all problems at once."""
        problems = []
        if not self.category.isidentifier():
            problems.append(
                f"NAME must be made of letters, digits and underscores, got {self.category!r}"
            )
        if self.convention and self.convention not in CONVENTIONS:
            known = ", ".join(CONVENTIONS)
            problems.append(f"convention must be one of {known}, got {self.convention!r}")
        if self.convention and (self.up or self.front):
            problems.append("give a convention, or up and front, not both")
        if self.front and not self.up:
            problems.append("front needs up beside it")
        if self.symmetry and self.symmetry not in SYMMETRIES:
            known = ", ".join(SYMMETRIES)
            problems.append(f"symmetry must be one of {known}, got {self.symmetry!r}")
        if problems:
            raise ValueError("Import settings cannot be used: " + "; ".join(problems) + ".")
        if self.up and self.front:
            turn_of_axes(self.up, self.front)


@dataclass
class ImportedMesh:
    """One file that can be used."""

    name: str
    """Path below the folder that was given; of a model of ShapeNet its id."""
    archive: Path
    """Holds the mesh in the frame of the file: of thousands, no two are in memory at a time."""
    size: float
    """Longest side, in the unit of the file."""
    notes: list[str]
    """What was found and mended."""
    R_object_file: FloatArray = field(default_factory=lambda: np.eye(3))
    split: str = "train"
    symmetry: str = "none"

    @property
    def mesh(self) -> Mesh:
        """The mesh in the frame of the file."""
        return open_mesh(self.archive)


@dataclass
class ImportReport:
    """What became of a folder."""

    meshes: list[ImportedMesh] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """Reason by name of each file that was left out."""
    orientation: str = ""
    """Where the orientation comes from."""
    symmetry: str = "none"


def find_meshes(folder: Path) -> list[Path]:
    """Mesh files in a folder and below it, by name.

    Raises:
        ValueError: no such folder, or no meshes in it.
    """
    if not folder.is_dir():
        raise ValueError(f"meshes must be a folder, got {folder}, which is none.")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in (*SUFFIXES, *_UNREAD)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not files:
        raise ValueError(
            f"{folder} must hold meshes ({' '.join(SUFFIXES)}), got none. Export them from your "
            "CAD program, best as GLB."
        )
    return files


def read_meshes(
    folder: Path,
    staging: Path,
    on_file: Callable[[int, int], None] = lambda done, total: None,
    reader: MeshReader | None = None,
) -> ImportReport:
    """Read and clean every file of a folder; those that cannot be used are named with the reason.

    Args:
        folder: with meshes in it and below.
        staging: folder for archives; needed as long as the report.
        on_file: told how many of how many are done.
        reader: reads them, in a process of its own.
    """
    files, report = find_meshes(folder), ImportReport()
    root, places = folder.resolve(), dict[str, Path]()
    for empty in folders_without_mesh(folder, files):
        report.refused[empty.name] = "its folder holds no mesh"
    with reader or MeshReader() as isolated:
        for number, file in enumerate(files):
            model = model_folder(file.absolute())
            path = file.relative_to(folder)
            name = model.name if model else str(path)
            try:
                if file.suffix.lower() in _UNREAD:
                    raise ValueError(f"{file.suffix} is not read: export it as GLB")
                if not file.resolve().is_relative_to(root):
                    raise ValueError("it is a link to a file outside of the folder")
                if name in places:
                    other, name = places[name], str(path)
                    raise ValueError(f"it is the same model as {other}")
                archive = staging / f"{number}.npz"
                notes = isolated.read(file, root, archive)
                size = float(np.ptp(open_mesh(archive).vertices, axis=0).max())
                report.meshes.append(ImportedMesh(name, archive, size, notes))
                places[name] = path
            except ValueError as error:
                report.refused[name] = str(error).removeprefix(f"{file} ").rstrip(".")
            on_file(number + 1, len(files))
    _note_scales(report.meshes)
    return report


def orient(
    report: ImportReport, settings: ImportSettings, reference: Sequence[FloatArray] = ()
) -> None:
    """Turn every mesh into the object frame: as said, as its format says, or as is guessed.

    Args:
        report: gets the turns, and where they come from.
        settings: what the user says.
        reference: points on objects of this category that stand right, if there are any.
    """
    up, front = settings.up, settings.front
    if settings.convention:
        up, front = CONVENTIONS[settings.convention]
    if up and front:
        mirrored = settings.convention in MIRRORED
        told = ", left and right exchanged" if mirrored else ""
        report.orientation = f"as said: {up} up, {front} in front{told}"
        for item in report.meshes:
            item.R_object_file = turn_of_axes(up, front, mirrored)
    else:
        _guess_turns(report, settings, reference)
    for item in report.meshes:
        item.symmetry = symmetry_of(sample_surface(item.mesh) @ item.R_object_file.T)
    report.symmetry = settings.symmetry or common_symmetry([m.symmetry for m in report.meshes])


def split(meshes: Sequence[ImportedMesh], folder: Path) -> None:
    """Divide the meshes into train, val and test: about 70, 15 and 15 of 100, stable by name.

    Of one or two meshes, all serve in every split, as variations of themselves. ShapeNet's own
    split counts, if its table lies in the folder or beside it; models it does not list train.

    Raises:
        ValueError: the table cannot be read.
    """
    official = official_splits(folder)
    if any(item.name in official for item in meshes):
        for item in meshes:
            item.split = official.get(item.name, "train")
            if item.name not in official:
                item.notes.append("not in all.csv: for training")
        return
    if len(meshes) < 3:
        for item in meshes:
            item.split = "train val test"
        return
    order = sorted(meshes, key=lambda m: hashlib.sha256(m.name.encode()).hexdigest())
    held = max(1, round(0.15 * len(order)))
    for number, item in enumerate(order):
        item.split = "val" if number < held else "test" if number < 2 * held else "train"


def write_category(report: ImportReport, settings: ImportSettings, path: Path) -> None:
    """Write `NAME.yaml`, and beside it the folder `NAME` with the meshes in the object frame.

    Raises:
        ValueError: there is no mesh to write.
    """
    if not report.meshes:
        reasons = "; ".join(f"{name}: {why}" for name, why in report.refused.items())
        raise ValueError(f"None of the files can be used. {reasons}.")
    entries: list[dict[str, Any]] = []
    with replaced_folder(path.with_suffix("")) as folder:
        folder.mkdir()
        for number, item in enumerate(report.meshes):
            file = f"{number:04d}.npz"
            save_mesh(turned(item.mesh, item.R_object_file), folder / file)
            entries.append(
                {
                    "category": settings.category,
                    "files": [f"{path.stem}/{file}"],
                    "source": item.name,
                    "split": item.split,
                    "R_kp3d_from_file": np.eye(3).astype(int).tolist(),
                    "R_object_source": np.round(item.R_object_file, 6).tolist(),
                    "notes": item.notes,
                }
            )
    document = {
        "category": settings.category,
        "orientation": report.orientation,
        "symmetry": report.symmetry,
        "left_out": report.refused,
        "meshes": entries,
    }
    with atomic_writer(path) as stream:
        header = "# Written by `kp3d import`. Frame of the meshes: x forward, y left, z up.\n"
        text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=100)
        stream.write((header + text).encode())


def _guess_turns(
    report: ImportReport, settings: ImportSettings, reference: Sequence[FloatArray]
) -> None:
    """Turn the meshes as their format says, or as they look most alike."""
    up = settings.up
    clouds = [sample_surface(item.mesh) for item in report.meshes]
    others = [
        cloud
        for cloud, item in zip(clouds, report.meshes, strict=True)
        if not item.name.lower().endswith(_GLTF)
    ]
    guessed = up or (guess_up(others) if others else "y")
    for item in report.meshes:
        is_gltf = item.name.lower().endswith(_GLTF)
        axis = up or ("y" if is_gltf else guessed)
        item.R_object_file = turn_of_axes(axis, "z" if axis.endswith("y") else "x")
    upright = [c @ m.R_object_file.T for c, m in zip(clouds, report.meshes, strict=True)]
    turns = align_yaw(upright, reference)
    for item, turn in zip(report.meshes, turns, strict=True):
        item.R_object_file = turn @ item.R_object_file
    compared = f"the built-in {settings.category}" if reference else "each other"
    report.orientation = f"a guess: {guessed} up, front by comparing with {compared}"


def _note_scales(meshes: Sequence[ImportedMesh]) -> None:
    """Tell of files whose unit seems to be another one than that of most."""
    sizes = [mesh.size for mesh in meshes]
    if len(sizes) < 3:
        return
    middle = float(np.median(sizes))
    for item, size in zip(meshes, sizes, strict=True):
        if not 0.05 < size / middle < 20:
            item.notes.append(
                f"{size / middle:.3g} times as large as most: another unit? Brought to one size"
            )
