"""`kp3d export-meshes`: built-in objects as GLB files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from kp3d_core.cli.errors import user_errors
from kp3d_core.files import check_output_folder


def export_meshes(
    category: Annotated[str, typer.Option(help="Built-in category: car, chair, mug or plane.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for GLB files.")],
    instances: Annotated[int, typer.Option(help="How many objects.", min=1)] = 12,
    split: Annotated[str, typer.Option(help="train, val or test: none is in two.")] = "train",
    seed_offset: Annotated[int, typer.Option(help="Objects that no default run uses.")] = 0,
) -> None:
    """Write built-in objects as GLB files in metres, +Y up, their front facing +Z."""
    with user_errors():
        from kp3d_core.data.procedural import make_instance
        from kp3d_core.data.splits import first_seed
        from kp3d_core.objects.meshes.writing import write_glb

        first = first_seed(split, instances, seed_offset)
        make_instance(category, first)  # an unknown category is told before anything is made
        check_output_folder(output)
        output.mkdir(parents=True, exist_ok=True)
        seeds = range(first, first + instances)
        for seed in track(seeds, "writing", console=Console(stderr=True), transient=True):
            item = make_instance(category, seed)
            write_glb(item.mesh, output / f"{category}_{seed}.glb", item.metres_per_unit)
    typer.echo(f"Written to {output}: {instances} GLB files.")
