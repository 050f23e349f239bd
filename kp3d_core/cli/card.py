"""`kp3d card`: a Markdown page about model files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_file, check_output_folder


def card(
    evaluations: Annotated[
        list[Path], typer.Argument(metavar="EVALUATION...", help="Folders of `kp3d evaluate`.")
    ],
    output: Annotated[Path, typer.Option(help="Markdown file to write.")],
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for pictures; default: `images` beside the file.")
    ] = None,
    robustness: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of `kp3d robustness` of one of the models; can be repeated."),
    ] = None,
) -> None:
    """Write what models reach, where they fail and how they were made."""
    with user_errors():
        from kp3d_core.evaluation.card import write_cards

        images = pictures or output.parent / "images"
        check_output_file(output)
        check_output_folder(images)
        write_cards(evaluations, output, images, robustness or ())
    typer.echo(f"Written: {output}")
