"""`kp3d build-engine`: compile a model for this machine's NVIDIA GPU ahead of its first use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from kp3d_core.cli.errors import user_errors
from kp3d_core.cli.numbers import whole_numbers
from kp3d_core.files import check_output_folder


def build_engine(
    model: Annotated[str, typer.Argument(help="Path of an .onnx model file or a shipped name.")],
    precision: Annotated[
        str | None, typer.Option(help="fp32, fp16 or int8; default: the file's own.")
    ] = None,
    batch: Annotated[str, typer.Option(help="Batch sizes to compile for.")] = "1,4,16",
    cache: Annotated[
        Path | None, typer.Option(help="Folder of built engines; default: the user's cache.")
    ] = None,
    parts: Annotated[
        Path | None,
        typer.Option(help="Also write each of the two networks as an engine into this folder."),
    ] = None,
) -> None:
    """Build the TensorRT engine of a model, test it, and keep it where the node finds it."""
    with user_errors(RuntimeError):
        from kp3d_core.inference import create_engine, load_model
        from kp3d_core.inference.engines import EngineOptions

        if parts is not None:
            check_output_folder(parts)
        loaded = load_model(model)
        with Progress(transient=True) as progress:
            options: dict[str, Any] = {
                "precision": precision,
                "batches": whole_numbers("batch", batch),
                "cache": cache,
                "on_progress": _shown_in(progress),
            }
            engine = create_engine(loaded, "tensorrt", **options)
            typer.echo(
                f"{loaded.name} in {engine.precision} on {engine.device}, {engine.name}: ready."
            )
            if parts is not None:
                from kp3d_core.inference.engines.nvidia.parts import build_parts

                for path in build_parts(loaded, EngineOptions(**options), parts):
                    typer.echo(f"Written: {path}")


def _shown_in(progress: Progress) -> Any:
    """Callback that gives each phase of the build a bar."""
    bars: dict[str, Any] = {}

    def show(phase: str, finished: int, total: int) -> None:
        if phase not in bars:
            bars[phase] = progress.add_task(phase, total=total)
        progress.update(bars[phase], completed=finished, total=total)

    return show
