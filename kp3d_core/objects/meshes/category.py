"""From a folder of mesh files to a category file: all steps of `kp3d import`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from kp3d_core.objects.meshes.contact_sheet import write_contact_sheets
from kp3d_core.objects.meshes.importing import (
    FloatArray,
    ImportedMesh,
    ImportReport,
    ImportSettings,
    find_meshes,
    orient,
    read_meshes,
    split,
    write_category,
)

SHOWN = 240
"""Most meshes on contact sheets: nobody looks at more."""


def import_category(
    meshes: Path,
    output: Path,
    settings: ImportSettings,
    references: Sequence[FloatArray] = (),
    on_file: Callable[[int, int], None] = lambda done, total: None,
    adjust: Callable[[ImportReport, list[Path]], None] | None = None,
) -> tuple[ImportReport, list[Path]]:
    """Check, orient, normalise and split meshes, and write them as a category.

    Args:
        meshes: folder.
        output: `NAME.yaml` to write; the meshes come into the folder `NAME` beside it, contact
            sheets into `NAME_sheets`.
        settings: what the user says about the files.
        references: points on objects of this category that stand right, if there are any.
        on_file: told how many files of how many are read.
        adjust: may turn meshes and leave some out, having seen the contact sheets.

    Returns:
        What became of each file, and the contact sheets.

    Raises:
        ValueError: no meshes, or none that can be used.
    """
    find_meshes(meshes)
    output.parent.mkdir(parents=True, exist_ok=True)
    # Beside the output: thousands of meshes may not fit where temporary files usually lie.
    with tempfile.TemporaryDirectory(prefix=f".{output.stem}-", dir=output.parent) as staging:
        report = read_meshes(meshes, Path(staging), on_file)
        if report.meshes:
            orient(report, settings, references)
            split(report.meshes, meshes)
        sheet_folder = output.with_name(f"{output.stem}_sheets")
        shown = report.meshes if adjust else evenly_spread(report.meshes)
        sheets = write_contact_sheets(shown, sheet_folder)
        if adjust is not None:
            adjust(report, sheets)
            sheets = write_contact_sheets(report.meshes, sheet_folder)
        write_category(report, settings, output)
    return report, sheets


def evenly_spread(meshes: list[ImportedMesh]) -> list[ImportedMesh]:
    """Those on the contact sheets: of thousands, some."""
    step = -(-len(meshes) // SHOWN) if meshes else 1
    return meshes[::step]
