"""`kp3d build-engine`: compile a model for an NVIDIA GPU ahead of its first use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kp3d_core.cli.bars import bars_by_part
from kp3d_core.cli.errors import user_errors
from kp3d_core.cli.numbers import whole_numbers
from kp3d_core.files import check_output_folder

if TYPE_CHECKING:
    from kp3d_core.inference import Model
    from kp3d_core.inference.engines import EngineOptions


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
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Build for a GPU that need not be here, for example sm_89; may be given several "
            "times. Needs TensorRT for RTX."
        ),
    ] = None,
) -> None:
    """Build the TensorRT engine of a model, test it, and keep it where the node finds it."""
    with user_errors(RuntimeError):
        from kp3d_core.inference import load_model
        from kp3d_core.inference.engines import EngineOptions

        if parts is not None:
            check_output_folder(parts)
        loaded = load_model(model)
        with bars_by_part() as show:
            options = EngineOptions(
                precision=precision,
                batches=whole_numbers("batch", batch),
                cache=cache,
                on_progress=show,
            )
            targets = tuple(dict.fromkeys(target or ()))
            _build(loaded, options, targets)
            if parts is not None:
                from kp3d_core.inference.engines.nvidia.parts import build_parts

                for path in build_parts(loaded, options, parts, targets):
                    typer.echo(f"Written: {path}")


def _build(model: Model, options: EngineOptions, targets: tuple[str, ...]) -> None:
    """Build and test the engine for this machine's GPU, or build it for targets."""
    from kp3d_core.inference.engines import create_engine, require_importable, why_unavailable

    if not targets:
        try:
            engine = create_engine(model, "tensorrt", **vars(options))
        except ValueError as error:
            raise ValueError(
                f"{error}{_other_machines() if why_unavailable('tensorrt') else ''}"
            ) from error
        typer.echo(f"{model.name} in {engine.precision} on {engine.device}, {engine.name}: ready.")
        return
    require_importable("tensorrt")
    from kp3d_core.inference.engines.nvidia.plans import build_ahead

    for name, path in zip(targets, build_ahead(model, options, targets), strict=True):
        typer.echo(f"{model.name} for {name}, not tested here: {path}")


def _other_machines() -> str:
    """What can be built for here, as a sentence; empty if nothing."""
    try:
        from kp3d_core.inference.engines.nvidia.library import all_targets
    except (ImportError, OSError):
        return ""
    known = ", ".join(all_targets())
    return known and f" To build for another machine pass its --target, one of {known}."
