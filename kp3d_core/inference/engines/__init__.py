"""What runs a model's network: one small protocol, engines chosen by name.

To add one: write a module with a class that takes `(model, threads)` and fulfils `Engine`, and add
a line to `_ENGINES`. The module may import its library at the top; it is imported on use only.
"""

from __future__ import annotations

import importlib

import numpy as np

from kp3d_core.inference.engines.base import Engine
from kp3d_core.inference.model import Model
from kp3d_core.inference.outputs import output_shapes

__all__ = ["Engine", "create_engine", "engine_names"]

_ENGINES = {
    "onnxruntime": ("kp3d_core.inference.engines.onnxruntime_engine:OnnxRuntimeEngine",
                    "pip install onnxruntime"),
}  # fmt: skip
"""Name -> (class, what to do when its library is missing), in the order that "auto" tries."""


def engine_names() -> tuple[str, ...]:
    """Names that `create_engine` knows, besides "auto"."""
    return tuple(_ENGINES)


def create_engine(model: Model, name: str = "auto", *, threads: int | None = None) -> Engine:
    """Engine that is warm and has been checked against the model's declared outputs.

    Args:
        model: from `load_model`.
        name: one of `engine_names()`, or "auto" for the first that is installed.
        threads: CPU threads of an engine that runs on the CPU; the engine's default if None.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}. Pass None for the default.")
    if name != "auto" and name not in _ENGINES:
        raise ValueError(
            f"engine must be auto or one of {', '.join(_ENGINES)}, got {name!r}. Check the name."
        )
    missing = []
    for candidate in _ENGINES if name == "auto" else (name,):
        target, remedy = _ENGINES[candidate]
        module_name, class_name = target.split(":")
        try:
            engine_class = getattr(importlib.import_module(module_name), class_name)
        except ImportError as error:
            missing.append(f"{candidate} cannot be imported ({error}): {remedy}.")
            continue
        engine: Engine = engine_class(model, threads)
        _warm_up(engine, model)
        return engine
    raise ValueError("No inference engine is available. " + " ".join(missing))


def _warm_up(engine: Engine, model: Model) -> None:
    """Run a batch of 1 and of 2: allocates, and shows wrong shapes now instead of mid-stream."""
    for batch in (1, 2, 1):
        images = np.zeros((batch, model.input_size, model.input_size, 3), np.uint8)
        outputs = engine.run(images)
        for key, shape in output_shapes(model.keypoints.count).items():
            got = outputs[key].shape
            if got != (batch, *shape):
                raise ValueError(
                    f"{engine.name} returned {key} of shape {got}, expected {(batch, *shape)}. "
                    "The model file's graph does not match its metadata: export it again."
                )
