"""`kp3d import`: a folder of meshes becomes a category that can be trained on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_file

if TYPE_CHECKING:
    from kp3d_core.objects.meshes.importing import ImportedMesh, ImportReport

_KEYS = {"l": "left", "r": "right", "b": "back", "f": "forwards", "s": "sideways"}
_REFERENCES = 12
_SHOWN = 240
"""Most meshes on contact sheets: nobody looks at more."""


def import_meshes(
    name: Annotated[str, typer.Argument(help="Name of the category, such as mug.")],
    meshes: Annotated[
        Path, typer.Option(help="Folder with OBJ, GLB, glTF, PLY, STL, DAE or OFF files.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; default: categories/NAME.yaml.")
    ] = None,
    up: Annotated[str, typer.Option(help="Axis of the files that points up, such as y.")] = "",
    front: Annotated[str, typer.Option(help="Axis that points forwards, such as -z.")] = "",
    convention: Annotated[
        str, typer.Option(help="gltf, shapenet-v1, shapenet-v2, blender or ros, instead of both.")
    ] = "",
    symmetry: Annotated[
        str, typer.Option(help="About z: none, two-fold or full; default: detected.")
    ] = "",
    interactive: Annotated[bool, typer.Option(help="Ask for each file how to turn it.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace what an earlier import wrote.")] = False,
) -> None:
    """Check, orient, normalise and split meshes: categories/NAME.yaml, with a contact sheet."""
    with user_errors():
        from kp3d_core.objects.meshes import importing
        from kp3d_core.objects.meshes.contact_sheet import write_contact_sheets

        settings = importing.ImportSettings(name, up, front, convention, symmetry)
        path = output or Path("categories") / f"{name}.yaml"
        check_output_file(path)
        if path.exists() and not overwrite:
            raise ValueError(f"{path} is there already. Pass --overwrite to replace it.")
        importing.find_meshes(meshes)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the output: thousands of meshes may not fit where temporary files usually lie.
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=path.parent) as staging:
            with Progress(console=Console(stderr=True), transient=True) as progress:
                task = progress.add_task("reading meshes")
                report = importing.read_meshes(
                    meshes,
                    Path(staging),
                    lambda done, total: progress.update(task, completed=done, total=total),
                )
            if report.meshes:
                importing.orient(report, settings, _references(name))
                importing.split(report.meshes, meshes)
            sheet_folder = path.with_name(f"{name}_sheets")
            shown = report.meshes if interactive else _some(report.meshes)
            sheets = write_contact_sheets(shown, sheet_folder)
            if interactive:
                _ask(report, sheets)
                sheets = write_contact_sheets(report.meshes, sheet_folder)
            importing.write_category(report, settings, path)
    _tell(report, path, sheets)


def _some(meshes: list[ImportedMesh]) -> list[ImportedMesh]:
    """Those on the contact sheets: of thousands, some, evenly spread."""
    step = -(-len(meshes) // _SHOWN) if meshes else 1
    return meshes[::step]


def _references(name: str) -> list:  # type: ignore[type-arg]
    """Points on objects of a built-in category, whose frame imported ones are to have, too."""
    from kp3d_core.data.procedural import CATEGORIES, make_instance
    from kp3d_core.objects.meshes.orientation import sample_surface

    if name not in CATEGORIES:
        return []
    return [sample_surface(make_instance(name, seed).mesh) for seed in range(_REFERENCES)]


def _ask(report: ImportReport, sheets: list[Path]) -> None:
    """Let the user turn single files, or leave them out."""
    from kp3d_core.objects.meshes.orientation import QUARTER_TURNS

    typer.echo(f"Look at {', '.join(map(str, sheets))}: the red arrow must point to the front.")
    typer.echo(
        "Enter: right. Turn to its l(eft), r(ight), b(ack), tip f(orwards) or s(ideways), in any "
        "row, such as lf. x: leave out."
    )
    kept = []
    for item in report.meshes:
        answer = typer.prompt(item.name, default="", show_default=False).strip().lower()
        while set(answer) - {*_KEYS, "x"}:
            answer = typer.prompt("l, r, b, f, s, x or Enter", default="", show_default=False)
        for key in answer.replace("x", ""):
            item.R_object_file = QUARTER_TURNS[_KEYS[key]] @ item.R_object_file
        if "x" in answer:
            report.refused[item.name] = "left out by hand"
        else:
            kept.append(item)
    report.meshes = kept


def _tell(report: ImportReport, path: Path, sheets: list[Path]) -> None:
    table = Table(title=f"{len(report.meshes)} meshes used, {len(report.refused)} left out")
    for column in ("file", "split", "notes"):
        table.add_column(column)
    for item in report.meshes:
        table.add_row(item.name, item.split, "; ".join(item.notes))
    for name, reason in report.refused.items():
        table.add_row(name, "left out", reason, style="yellow")
    Console(markup=False).print(table)
    typer.echo(f"Orientation: {report.orientation}. Symmetry about z: {report.symmetry}.")
    if "guess" in report.orientation:
        typer.secho(
            "Confirm it by eye: on the sheets the red arrow must point to the front. Else say --up "
            "and --front, or turn single files with --interactive.",
            fg="yellow",
            err=True,
        )
    if len(report.meshes) < 3:
        typer.secho(
            "With fewer than three meshes, training and test show the same ones: figures will say "
            "nothing about others.",
            fg="yellow",
            err=True,
        )
    if len(report.meshes) > _SHOWN:
        typer.echo(f"The sheets show {len(_some(report.meshes))} of the meshes, evenly spread.")
    typer.echo(f"Written: {path}, {', '.join(map(str, sheets))}")
