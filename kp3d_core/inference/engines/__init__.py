"""What runs a model's network: one small protocol, engines chosen by name.

To add one: write a module with a class that takes `(model, options)` and fulfils `Engine`, and a
function `check_machine`, and add an entry to `_ENGINES`. The module may import its library at the
top; it is imported on use only.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kp3d_core.inference.engines.base import (
    DEVICES,
    Engine,
    EngineOptions,
    EngineUnavailable,
    NoGpu,
)
from kp3d_core.inference.engines.cuda_driver import NO_DRIVER, missing_gpu
from kp3d_core.inference.engines.precision import in_precision
from kp3d_core.inference.engines.timed import TimedEngine
from kp3d_core.inference.model import Model

__all__ = [
    "DEVICES",
    "REFERENCE_ENGINE",
    "Engine",
    "EngineOptions",
    "EngineUnavailable",
    "TimedEngine",
    "create_engine",
    "engine_devices",
    "engine_names",
    "require_importable",
    "why_unavailable",
]

_LOGGER = logging.getLogger(__name__)
_told: set[str] = set()
"""What was said of engines that "auto" has left out: of several models it is said once."""


@dataclass(frozen=True)
class _Entry:
    """One engine, not imported yet."""

    module: str
    """Has the class, and `check_machine(device)`, which raises `EngineUnavailable`."""
    class_name: str
    packages: tuple[str, ...]
    """Any of them is its library."""
    devices: tuple[str, ...]
    """What it runs on; the first unless another is asked for."""
    remedy: str
    """What to do when its library is missing."""


_ENGINES = {
    "tensorrt": _Entry(
        "kp3d_core.inference.engines.nvidia.engine",
        "TensorRtEngine",
        ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"),
        ("cuda",),
        "install NVIDIA's TensorRT 10 or 11, then pip install 'kp3d[tensorrt]'; or pip install "
        "'kp3d[tensorrt-rtx]'",
    ),
    "onnxruntime": _Entry(
        "kp3d_core.inference.engines.onnxruntime_engine",
        "OnnxRuntimeEngine",
        ("onnxruntime",),
        ("cpu", "cuda"),
        "pip install onnxruntime",
    ),
    "openvino": _Entry(
        "kp3d_core.inference.engines.openvino_engine",
        "OpenVinoEngine",
        ("openvino",),
        ("cpu",),
        "pip install 'kp3d[openvino]'",
    ),
}
"""By name, in the order that "auto" tries."""
REFERENCE_ENGINE = "onnxruntime"
"""Comes with kp3d, so that its errors are those of the model or of what is asked for, and what is
written into model files does not depend on what else the machine has."""


def engine_names() -> tuple[str, ...]:
    """Names that `create_engine` knows, besides "auto"."""
    return tuple(_ENGINES)


def engine_devices(name: str) -> tuple[str, ...]:
    """Devices that an engine of `engine_names()` can run on, if they are there."""
    return _ENGINES[name].devices


def create_engine(model: Model, name: str = "auto", **options: Any) -> Engine:
    """Engine that is warm and has been checked against the model's declared outputs.

    With "auto" an optional engine that cannot be imported, built or run is left out; a warning
    names it, with the reason. That the machine has no
    GPU, where none was asked for, is no warning.

    Args:
        model: from `load_model`.
        name: one of `engine_names()`, or "auto" for the first that this machine can run.
        **options: fields of `EngineOptions`.

    Raises:
        ValueError: unknown name or precision; or the engine cannot run here, with what to install.
    """
    settings = EngineOptions(**options)
    if name == "auto":
        settings = replace(settings, builds_again=False)  # each start would wait in vain
    left_out: dict[str, str] = {}
    lacks_gpu = False
    for candidate in _candidates(name, settings.device):
        entry = _ENGINES[candidate]
        device = entry.devices[0] if settings.device == "auto" else settings.device
        # Before the import: a precision that cannot be had is no matter of what is installed.
        chosen, precision = in_precision(model, settings.precision, device == "cpu")
        try:
            _require_gpu(candidate, device)
            engine: Engine = _engine_class(candidate)(
                chosen, replace(settings, precision=precision, device=device)
            )
            _warm_up(engine, model)
        except EngineUnavailable as error:
            left_out[candidate] = f"{candidate}: {error}"
            lacks_gpu |= isinstance(error, NoGpu)
        except Exception as error:
            if name == "auto" and candidate != REFERENCE_ENGINE:
                left_out[candidate] = f"{candidate}: {error}"
            elif isinstance(error, RuntimeError):
                raise ValueError(
                    f"{candidate} cannot run {model.name} here: {str(error).rstrip('. ')}. Choose "
                    "another engine."
                ) from error
            else:
                raise
        else:
            is_fault = not lacks_gpu or settings.device == "cuda"
            _tell(left_out, engine, logging.WARNING if is_fault else logging.INFO)
            return engine
    raise ValueError("No inference engine is available. " + " ".join(left_out.values()))


def why_unavailable(name: str, device: str = "auto") -> str:
    """Why this machine cannot run an engine; empty if it can, as far as is known beforehand."""
    entry = _ENGINES[name]
    device = entry.devices[0] if device == "auto" else device
    try:
        _require_gpu(name, device)
        _engine_class(name)
        importlib.import_module(entry.module).check_machine(device)
    except EngineUnavailable as error:
        return str(error)
    return ""


def require_importable(name: str) -> None:
    """`EngineUnavailable`, with what to install, unless an engine's library can be imported."""
    _engine_class(name)


def _candidates(name: str, device: str) -> list[str]:
    """Engines to try, the best first; `ValueError` if there is none by that name or device."""
    if name == "auto":
        return [n for n, entry in _ENGINES.items() if device in ("auto", *entry.devices)]
    if name not in _ENGINES:
        raise ValueError(
            f"engine must be auto or one of {', '.join(_ENGINES)}, got {name!r}. Check the name."
        )
    devices = _ENGINES[name].devices
    if device not in ("auto", *devices):
        raise ValueError(
            f"device of {name} must be auto or {' or '.join(devices)}, got {device!r}. Change it, "
            "or choose another engine."
        )
    return [name]


def _require_gpu(name: str, device: str) -> None:
    """`EngineUnavailable` without a GPU that is needed, before a large library is loaded for it.

    Of a library that is not there its import says more.
    """
    if device == "cuda" and _is_installed(name) and (reason := missing_gpu()):
        kind = NoGpu if reason == NO_DRIVER else EngineUnavailable
        raise kind(f"device cuda needs an NVIDIA GPU, but {reason}. Check `nvidia-smi`.")


def _is_installed(name: str) -> bool:
    return any(importlib.util.find_spec(package) is not None for package in _ENGINES[name].packages)


def _engine_class(name: str) -> Any:
    """Class of an engine; `EngineUnavailable` with what to install if it cannot be imported."""
    entry = _ENGINES[name]
    try:
        return getattr(importlib.import_module(entry.module), entry.class_name)
    except (ImportError, OSError) as error:  # OSError: a package without its shared libraries
        raise EngineUnavailable(f"it cannot be imported ({error}): {entry.remedy}.") from error


def _tell(left_out: dict[str, str], engine: Engine, level: int) -> None:
    """Name engines that could not run, if they are installed: without them nothing is wrong."""
    for name, reason in left_out.items():
        if _is_installed(name) and reason not in _told:
            _told.add(reason)
            _LOGGER.log(level, "Engine %s. %s takes over.", reason.rstrip(". "), engine.name)


def _warm_up(engine: Engine, model: Model) -> None:
    """Run a batch of 1 and of 2: allocates, and lets libraries settle on their kernels."""
    for batch in (1, 2, 1):
        engine.run(np.zeros((batch, model.input_size, model.input_size, 3), np.uint8))
