"""CUDA through `cuda-python`, as far as an engine needs it: memory, one stream, recorded graphs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from cuda.bindings import runtime as cuda
from numpy.typing import NDArray

from kp3d_core.inference.engines.base import EngineUnavailable

ALIGNMENT = 256
"""TensorRT wants device addresses at multiples of this [bytes]."""


@dataclass(frozen=True)
class Gpu:
    """The GPU that CUDA shows first."""

    name: str
    """For example `Orin`."""
    compute_capability: str
    """For example `8.7`."""


def find_gpu() -> Gpu:
    """First GPU; `EngineUnavailable` if there is none or its driver does not work."""
    status, count = cuda.cudaGetDeviceCount()
    if status != cuda.cudaError_t.cudaSuccess or not count:
        raise EngineUnavailable(
            f"no usable NVIDIA GPU was found ({_describe(status)}). Check `nvidia-smi`, or choose "
            "another engine."
        )
    properties = _call(cuda.cudaGetDeviceProperties, 0)
    return Gpu(properties.name.decode(), f"{properties.major}.{properties.minor}")


class DeviceBlock:
    """Bytes on the GPU and as many page-locked bytes on the host, for copies at full speed."""

    def __init__(self, size: int) -> None:
        """Allocate both; freed when this object goes."""
        self._device = self._host = None
        self._device = _call(cuda.cudaMalloc, size)
        self._host = _call(cuda.cudaMallocHost, size)
        raw = (ctypes.c_uint8 * size).from_address(int(self._host))
        self.host: NDArray[np.uint8] = np.ctypeslib.as_array(raw)
        """View of the host's bytes."""

    @property
    def address(self) -> int:
        """Of the GPU's bytes."""
        return int(self._device or 0)

    def upload(self, size: int, stream: Stream) -> None:
        """Queue a copy of the first `size` bytes to the GPU."""
        kind = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        _call(cuda.cudaMemcpyAsync, self._device, self._host, size, kind, stream.handle)

    def download(self, size: int, stream: Stream) -> None:
        """Queue a copy of the first `size` bytes from the GPU."""
        kind = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        _call(cuda.cudaMemcpyAsync, self._host, self._device, size, kind, stream.handle)

    def __del__(self) -> None:
        """Give the memory back; errors at exit, after CUDA itself has gone, do not matter."""
        if self._device is not None:
            cuda.cudaFree(self._device)
        if self._host is not None:
            cuda.cudaFreeHost(self._host)


class Stream:
    """The one queue that all work of an engine goes through."""

    def __init__(self) -> None:
        """A stream that does not wait for the default one."""
        self.handle: Any = None
        self.handle = _call(cuda.cudaStreamCreateWithFlags, cuda.cudaStreamNonBlocking)

    def synchronize(self) -> None:
        """Wait until everything queued is done."""
        _call(cuda.cudaStreamSynchronize, self.handle)

    def record(self, work: Callable[[], None]) -> Graph:
        """Record what `work` queues, without running it."""
        mode = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        _call(cuda.cudaStreamBeginCapture, self.handle, mode)
        try:
            work()
        finally:  # also after an error: a stream left in capture mode refuses all work
            status, recorded = cuda.cudaStreamEndCapture(self.handle)
        _check(cuda.cudaStreamEndCapture, status)
        try:
            return Graph(_call(cuda.cudaGraphInstantiate, recorded, 0), self)
        finally:
            cuda.cudaGraphDestroy(recorded)

    def __del__(self) -> None:
        """Destroy the stream."""
        if self.handle is not None:
            cuda.cudaStreamDestroy(self.handle)


class Graph:
    """Recorded work: one launch instead of one per kernel, which small networks gain most by."""

    def __init__(self, handle: Any, stream: Stream) -> None:
        """Made by `Stream.record`."""
        self._handle = handle
        self._stream = stream

    def launch(self) -> None:
        """Queue the work."""
        _call(cuda.cudaGraphLaunch, self._handle, self._stream.handle)

    def __del__(self) -> None:
        """Destroy the graph."""
        cuda.cudaGraphExecDestroy(self._handle)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Result of a CUDA function; `RuntimeError` with its name and CUDA's words if it failed."""
    status, *results = function(*arguments)
    _check(function, status)
    return results[0] if results else None


def _check(function: Callable[..., Any], status: Any) -> None:
    if status != cuda.cudaError_t.cudaSuccess:
        raise RuntimeError(f"{function.__name__} failed: {_describe(status)}.")


def _describe(status: Any) -> str:
    return str(cuda.cudaGetErrorString(status)[1].decode())
