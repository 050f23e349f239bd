"""What runs a model's network: one small protocol, engines chosen by name.

To add one: write a module with a class that takes `(model, options)` and fulfils `Engine`, and add
a line to `_ENGINES`. The module may import its library at the top; it is imported on use only.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np

from kp3d_core.inference.engines.base import Engine, EngineOptions, EngineUnavailable
from kp3d_core.inference.engines.precision import in_precision
from kp3d_core.inference.engines.timed import TimedEngine
from kp3d_core.inference.model import Model

__all__ = [
    "Engine",
    "EngineOptions",
    "EngineUnavailable",
    "TimedEngine",
    "create_engine",
    "engine_names",
]

_ENGINES = {
    "tensorrt": ("kp3d_core.inference.engines.nvidia.engine:TensorRtEngine",
                 "install NVIDIA's TensorRT 10 or 11, then pip install 'kp3d[tensorrt]'"),
    "onnxruntime": ("kp3d_core.inference.engines.onnxruntime_engine:OnnxRuntimeEngine",
                    "pip install onnxruntime"),
    "openvino": ("kp3d_core.inference.engines.openvino_engine:OpenVinoEngine",
                 "pip install 'kp3d[openvino]'"),
}  # fmt: skip
"""Name -> (class, what to do when its library is missing), in the order that "auto" tries."""


def engine_names() -> tuple[str, ...]:
    """Names that `create_engine` knows, besides "auto"."""
    return tuple(_ENGINES)


def create_engine(model: Model, name: str = "auto", **options: Any) -> Engine:
    """Engine that is warm and has been checked against the model's declared outputs.

    Args:
        model: from `load_model`.
        name: one of `engine_names()`, or "auto" for the first that this machine can run.
        **options: fields of `EngineOptions`.

    Raises:
        ValueError: unknown name or precision; or the engine cannot run here, with what to install.
    """
    settings = EngineOptions(**options)
    if name != "auto" and name not in _ENGINES:
        raise ValueError(
            f"engine must be auto or one of {', '.join(_ENGINES)}, got {name!r}. Check the name."
        )
    missing = []
    for candidate in _ENGINES if name == "auto" else (name,):
        target, remedy = _ENGINES[candidate]
        module_name, class_name = target.split(":")
        # Before the import: a precision that cannot be had is no matter of what is installed.
        chosen, precision = in_precision(model, settings.precision, candidate != "tensorrt")
        try:
            engine_class = getattr(importlib.import_module(module_name), class_name)
            engine: Engine = engine_class(chosen, replace(settings, precision=precision))
        except EngineUnavailable as error:
            missing.append(f"{candidate}: {error}")
        except (ImportError, OSError) as error:  # OSError: a package without its shared libraries
            missing.append(f"{candidate} cannot be imported ({error}): {remedy}.")
        else:
            _warm_up(engine, model)
            return engine
    raise ValueError("No inference engine is available. " + " ".join(missing))


def _warm_up(engine: Engine, model: Model) -> None:
    """Run a batch of 1 and of 2: allocates, and lets libraries settle on their kernels."""
    for batch in (1, 2, 1):
        engine.run(np.zeros((batch, model.input_size, model.input_size, 3), np.uint8))
