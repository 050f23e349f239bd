"""The engine of a model: what it is called in the cache, and how it is built there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kp3d_core.inference.engines.base import EngineOptions
from kp3d_core.inference.engines.nvidia import library
from kp3d_core.inference.engines.nvidia.builder import BuildLogger, build_plan
from kp3d_core.inference.engines.nvidia.cache import EngineCache, EngineKey
from kp3d_core.inference.engines.nvidia.library import tensorrt
from kp3d_core.inference.engines.precision import in_precision, precision_of, tensorrt_graph
from kp3d_core.inference.model import Model
from kp3d_core.inference.outputs import INPUT_NAME


def image_shape(model: Model) -> tuple[int, int, int]:
    """Shape of one image."""
    return (model.input_size, model.input_size, 3)


def batch_sizes(options: EngineOptions) -> tuple[int, ...]:
    """Each once, the smallest first: one optimization profile each."""
    return tuple(sorted(set(options.batches)))


def key_of(model: Model, options: EngineOptions, target: str) -> EngineKey:
    """Key of the engine of both networks for a target, see `library.target_of`."""
    return EngineKey(
        model_sha256=model.sha256,
        precision=precision_of(model, options.precision),
        batches=batch_sizes(options),
        part="both",
        library=library.NAME,
        version=library.VERSION,
        target=target,
    )


def build_of(
    model: Model, options: EngineOptions, target: str
) -> Callable[[bytes], tuple[bytes, bytes]]:
    """What builds it: (timings) -> (engine's bytes, new timings)."""

    def build(timings: bytes) -> tuple[bytes, bytes]:
        return build_plan(
            tensorrt_graph(model, options.precision),
            {INPUT_NAME: image_shape(model)},
            batch_sizes(options),
            timings,
            options.on_progress,
            library.targets_of_build(target),
        )

    return build


def build_ahead(model: Model, options: EngineOptions, targets: tuple[str, ...]) -> list[Path]:
    """Build the engine for each target, on any machine; where it finds itself on the robot.

    Returns:
        Files of the cache; an engine that is there already is not built again.

    Raises:
        ValueError: the library cannot build for a target, or not this model in this precision.
    """
    library.check_targets(targets)
    model, precision = in_precision(model, options.precision, on_cpu=False)
    options = replace(options, precision=precision)
    cache = EngineCache(options.cache)
    logger = BuildLogger()
    runtime = tensorrt.Runtime(logger)

    def well_formed(plan: bytes) -> bytes | None:
        return None if library.is_malformed(plan, runtime) else plan

    paths = []
    for target in targets:
        key = key_of(model, options, target)
        cache.get(key, well_formed, build_of(model, options, target))
        paths.append(cache.folder / key.file_name())
        if not paths[-1].is_file():
            raise ValueError(
                f"The engine must be kept in a folder, got {cache.folder}, which cannot be written "
                "to. Choose another one with --cache."
            )
    return paths
