"""`kp3d convert-tfrecords`: the data that the authors of KeypointNet published, as shards."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from kp3d_core.cli.bars import bars_by_part
from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_folder


def convert_tfrecords(
    folder: Annotated[Path, typer.Argument(help="Folder of NNNN.tfrecord and projection.txt.")],
    category: Annotated[str, typer.Option(help="What the objects are, such as car.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for train, val (their dev) and test.")
    ],
    pairs_per_object: Annotated[
        int | None,
        typer.Option(
            help="Consecutive pairs of views that show one object; 1: each pair is taken for "
            "itself.",
            show_default="as job.txt says, or 100",
        ),
    ] = None,
) -> None:
    """Convert the TFRecords of KeypointNet's authors; an interrupted run is continued."""
    with user_errors():
        from kp3d_core.data.authors_records import convert_records, read_record_folder

        check_output_folder(output)
        if not category.isidentifier():
            raise ValueError(
                f"category must be made of letters, digits and underscores, got {category!r}."
            )
        source = read_record_folder(folder, pairs_per_object)
        with bars_by_part() as show:
            for split, records in source.splits.items():
                if not records:
                    continue
                made = convert_records(
                    source, category, split, output / split, partial(show, split)
                )
                typer.echo(f"{output / split}: {made.samples} objects x {made.views} views")
