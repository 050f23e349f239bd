"""What every engine is: its protocol, its options, and the check of what it is given."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference.model import Model
from kp3d_core.inference.outputs import output_shapes

DEFAULT_THREADS = 2
"""More threads gain little on a network this small and take cores from the rest of the robot."""
DEFAULT_BATCHES = (1, 4, 16)
"""Batch sizes that a compiled engine is optimised for."""
DEVICES = ("auto", "cpu", "cuda")
"""Where to run; "auto" is the engine's first choice."""


class EngineUnavailable(ValueError):
    """The library is installed, but this machine cannot run it, for example for want of a GPU."""


class NoGpu(EngineUnavailable):
    """There is no GPU for it, nor a driver of one: on most machines that is as it should be."""


@runtime_checkable
class Engine(Protocol):
    """A network that is loaded and ready to run; not safe for calls from several threads."""

    name: str
    """Name it was created by, with the library's version, for example `onnxruntime 1.20.1`."""
    device: str
    """Where it runs, for example `cpu (2 threads)`."""
    precision: str
    """One of `model.PRECISIONS`."""

    def run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Outputs of `output_shapes` for RGB crops of shape (B, S, S, 3); the caller's to keep."""
        ...


@dataclass(frozen=True)
class EngineOptions:
    """How to run a model; an engine ignores what does not concern it."""

    threads: int | None = None
    """CPU threads of an engine that runs on the CPU; `DEFAULT_THREADS` or fewer if None."""
    pin_threads: bool = False
    """Keep each CPU thread on a core of its own. Steadier latency on a core that nothing else
    uses, worse on one that others use too."""
    precision: str | None = "auto"
    """One of `model.PRECISIONS`; "auto": see `in_precision`; None: the model file's own."""
    device: str = "auto"
    """One of `DEVICES`."""
    batches: tuple[int, ...] = DEFAULT_BATCHES
    """Batch sizes that an engine compiles kernels for, if it does; all others work, too."""
    cache: Path | None = None
    """Folder of compiled engines; the user's cache folder if None."""
    builds_again: bool = True
    """Try to build what could not be built before; false: it fails at once for the same reason."""
    on_progress: Callable[[str, int, int], None] | None = None
    """Called while an engine is compiled, with the phase and its finished and total steps."""

    def __post_init__(self) -> None:
        """Refuse what no engine can run with."""
        if self.threads is not None and self.threads < 1:
            raise ValueError(
                f"threads must be at least 1, got {self.threads}. Pass None for the default."
            )
        if self.device not in DEVICES:
            raise ValueError(
                f"device must be one of {', '.join(DEVICES)}, got {self.device!r}. Check the name."
            )
        if not self.batches or min(self.batches) < 1:
            raise ValueError(
                f"batches must be one or more positive sizes, got {self.batches}. "
                f"Pass for example {DEFAULT_BATCHES}."
            )

    @property
    def cpu_threads(self) -> int:
        """Threads that an engine on the CPU takes."""
        return self.threads or min(DEFAULT_THREADS, len(available_cores()))


def available_cores() -> list[int]:
    """Cores that this process may use, which a container or taskset may have limited."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def describe_cpu(threads: int) -> str:
    """Text for `Engine.device`."""
    return f"cpu ({threads} thread{'s' if threads > 1 else ''})"


def check_images(images: NDArray[np.uint8], input_size: int) -> None:
    """Refuse images that the graph does not take, in the same words for every engine."""
    shape = images.shape
    if images.dtype != np.uint8 or len(shape) != 4 or shape[1:] != (input_size, input_size, 3):
        raise ValueError(
            f"images must be uint8 of shape (B, {input_size}, {input_size}, 3), got {images.dtype} "
            f"of shape {shape}. Resize and stack the crops first."
        )
    if not len(images):
        raise ValueError("images must hold at least one crop, got none. Skip the call instead.")


def check_outputs(name: str, outputs: Mapping[str, NDArray[np.float32]], model: Model) -> None:
    """Refuse a graph whose outputs for one image are not what the model file declares.

    Free lengths in a file pass all checks before this one; buffers are allocated after it.
    """
    for key, shape in output_shapes(model.keypoints.count).items():
        got = tuple(outputs[key].shape)
        if got != (1, *shape):
            raise ValueError(
                f"{name} returned {key} of shape {got}, expected {(1, *shape)}. "
                "The model file's graph does not match its metadata: export it again."
            )
