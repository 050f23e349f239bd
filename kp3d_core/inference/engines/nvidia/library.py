"""TensorRT or TensorRT for RTX, whichever is installed, and everything in which they differ.

TensorRT (10 and 11) builds for the GPU that it runs on, and remembers how long kernels took there.
TensorRT for RTX builds for compute capabilities, also without a GPU, and compiles kernels when an
engine is first run; it remembers those.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from kp3d_core.inference.engines.base import EngineUnavailable
from kp3d_core.inference.engines.nvidia.device import Gpu

_MODULES = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")
"""Tried in this order. The last comes from PyPI; the one before it is its name elsewhere."""


def _import() -> tuple[str, Any]:
    """Name and module of the first that works; `ImportError` with what is wrong with each."""
    reasons = []
    for name in _MODULES:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                reasons.append(f"{name}: {error}")
        except Exception as error:  # NVIDIA's packages raise whatever their loading meets
            reasons.append(f"{name}: {error}")
        else:
            if hasattr(module, "Builder"):
                return name, module
            reasons.append(f"{name}: it has no Builder, so it is another package")
    raise ImportError("; ".join(reasons) or "neither tensorrt nor tensorrt_rtx is installed")


_module_name, tensorrt = _import()
VERSION: str = tensorrt.__version__
"""Engines of another one do not load."""
NAME = _module_name.removesuffix("_bindings")
"""`tensorrt` or `tensorrt_rtx`."""
_FOR_RTX = hasattr(tensorrt, "ComputeCapability")


def all_targets() -> tuple[str, ...]:
    """Targets that engines can be built for without a GPU, like `sm_89`; none for TensorRT."""
    names = tensorrt.ComputeCapability.__members__ if _FOR_RTX else ()
    return tuple(name.lower().replace("sm", "sm_") for name in names if name.startswith("SM"))


def check_targets(targets: Sequence[str]) -> None:
    """`ValueError` unless this library can build for all of them, whatever the GPU is."""
    known = all_targets()
    if targets and not _FOR_RTX:
        raise ValueError(
            f"TensorRT {VERSION} builds for the GPU of this machine only, got the targets "
            f"{', '.join(targets)}. Build on the robot without targets, or install TensorRT for "
            "RTX where TensorRT is not: pip install 'kp3d[tensorrt-rtx]'"
        )
    unknown = [target for target in targets if target not in known]
    if unknown:
        raise ValueError(
            f"Targets of {NAME} {VERSION} must be some of {', '.join(known)}, got "
            f"{', '.join(unknown)}. Take the compute capability of the robot's GPU: 8.9 is sm_89."
        )


def target_of(gpu: Gpu) -> str:
    """What an engine is built for that runs on a GPU: the GPU itself, or its capability.

    Raises:
        EngineUnavailable: the library knows no such GPU.
    """
    target = "sm_" + gpu.compute_capability.replace(".", "")
    if not _FOR_RTX:
        return f"{gpu.name}, {target}"
    known = all_targets()
    if target not in known:
        raise EngineUnavailable(
            f"{NAME} {VERSION} supports GPUs of {', '.join(known)}, this one, {gpu.name}, is "
            f"{target}. Choose engine onnxruntime with device cuda, or install TensorRT."
        )
    return target


def targets_of_build(target: str) -> tuple[str, ...]:
    """What `configure` must be told to build for the result of `target_of`."""
    return (target,) if _FOR_RTX else ()


def configure(config: Any, targets: Sequence[str]) -> None:
    """Let a build be for targets, and its engine be one that CUDA can record."""
    if not _FOR_RTX:
        return
    config.set_flag(tensorrt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        capability = getattr(tensorrt.ComputeCapability, target.upper().replace("_", ""))
        config.set_compute_capability(capability, index)


def use_timings(config: Any, content: bytes) -> None:
    """Give a build the timings of kernels of earlier ones; they may be of no use."""
    if _FOR_RTX:
        return  # TensorRT for RTX times no kernels
    cache = config.create_timing_cache(content) or config.create_timing_cache(b"")
    config.set_timing_cache(cache, ignore_mismatch=False)


def timings(config: Any) -> bytes:
    """Timings after a build; empty if the library has none."""
    return b"" if _FOR_RTX else bytes(config.get_timing_cache().serialize())


def is_malformed(plan: bytes, runtime: Any) -> bool:
    """Whether bytes are no engine for any GPU, as far as can be told without one."""
    if not _FOR_RTX:
        return not plan
    diagnostics = runtime.get_engine_validity(plan)[1]
    return bool(int(diagnostics) & int(tensorrt.EngineInvalidityDiagnostics.MALFORMED_ENGINE))


class Contexts:
    """Makes the execution contexts of an engine."""

    def __init__(self, engine: Any, kernels: bytes) -> None:
        """Take what `kernels` gave in an earlier process, or nothing."""
        self._engine = engine
        self._config = self._compiled = None
        self.knew_kernels = False
        """Whether the kernels were of use."""
        # Each context takes the memory of its own profile only, not that of the largest.
        self._strategy = tensorrt.ExecutionContextAllocationStrategy.ON_PROFILE_CHANGE
        if not _FOR_RTX:
            return
        self._config = config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(self._strategy)
        # Shapes are fixed by their profiles: kernels for them are compiled in the first run, not
        # in the background, or a recorded run would keep the slow ones.
        config.dynamic_shapes_kernel_specialization_strategy = (
            tensorrt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        self._compiled = config.create_runtime_cache()
        self.knew_kernels = bool(kernels) and bool(self._compiled.deserialize(kernels))
        config.set_runtime_cache(self._compiled)

    def create(self) -> Any:
        """A new context."""
        return self._engine.create_execution_context(
            self._strategy if self._config is None else self._config
        )

    def kernels(self) -> bytes:
        """Kernels that contexts have compiled in their runs; empty if the library has none."""
        return b"" if self._compiled is None else bytes(self._compiled.serialize())


def can_record(context: Any, stream: int) -> bool:
    """Whether CUDA can record a run of a context, once one has been made without."""
    return not _FOR_RTX or bool(context.is_stream_capturable(stream))
