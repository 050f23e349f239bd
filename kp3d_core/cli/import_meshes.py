"""`kp3d import`: a folder of meshes becomes a category that can be trained on."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from kp3d_core.cli.bars import bars_by_part
from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kp3d_core.objects.meshes.importing import ImportReport

_KEYS = {"l": "left", "r": "right", "b": "back", "f": "forwards", "s": "sideways"}
_REFERENCES = 12


Meshes = Annotated[
    Path, typer.Option(help="Folder with OBJ, GLB, glTF, PLY, STL, DAE or OFF files.")
]
Up = Annotated[str, typer.Option(help="Axis of the files that points up, such as y.")]
Front = Annotated[str, typer.Option(help="Axis that points forwards, such as -z.")]
Convention = Annotated[
    str, typer.Option(help="gltf, shapenet-v1, shapenet-v2, blender or ros, instead of both.")
]
SymmetryAboutZ = Annotated[
    str, typer.Option(help="About z: none, two-fold or full; default: detected.")
]


def import_meshes(
    name: Annotated[str, typer.Argument(help="Name of the category, such as mug.")],
    meshes: Meshes,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; default: categories/NAME.yaml.")
    ] = None,
    up: Up = "",
    front: Front = "",
    convention: Convention = "",
    symmetry: SymmetryAboutZ = "",
    interactive: Annotated[bool, typer.Option(help="Ask for each file how to turn it.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace what an earlier import wrote.")] = False,
) -> None:
    """Check, orient, normalise and split meshes: categories/NAME.yaml, with a contact sheet."""
    with user_errors():
        from kp3d_core.objects.meshes.category import import_category
        from kp3d_core.objects.meshes.importing import ImportSettings

        settings = ImportSettings(name, up, front, convention, symmetry)
        path = output or Path("categories") / f"{name}.yaml"
        check_output_file(path)
        if path.exists() and not overwrite:
            raise ValueError(f"{path} is there already. Pass --overwrite to replace it.")
        with ExitStack() as stack:
            show = stack.enter_context(bars_by_part())

            def ask(report: ImportReport, sheets: list[Path]) -> None:
                stack.close()  # a bar would write over the questions
                _ask(report, sheets)

            report, sheets = import_category(
                meshes,
                path,
                settings,
                references(name),
                lambda done, total: show("reading meshes", done, total),
                ask if interactive else None,
            )
    tell_import(report, path, sheets)


def references(name: str) -> list[NDArray[np.float64]]:
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


def tell_import(report: ImportReport, path: Path, sheets: list[Path]) -> None:
    """Show what became of each file, and what to look at."""
    from kp3d_core.objects.meshes.category import SHOWN, evenly_spread

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
    if len(report.meshes) > SHOWN:
        shown = len(evenly_spread(report.meshes))
        typer.echo(f"The sheets show {shown} of the meshes, evenly spread.")
    typer.echo(f"Written: {path}, {', '.join(map(str, sheets))}")
