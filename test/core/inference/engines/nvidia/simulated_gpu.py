"""A GPU and TensorRT's objects in ordinary memory, behind doubles of the real bindings.

Work on a stream waits until somebody synchronises, recorded work until its graph is launched, and
an execution context computes with ONNX Runtime on the addresses that it was given. So code that
forgets to wait, copies the wrong bytes or binds the wrong address gets wrong numbers here, too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from binding_doubles import Double, check_call
from cuda.bindings import runtime as real_cuda
from loaded_bindings import FOR_RTX, trt

SUCCESS = real_cuda.cudaError_t.cudaSuccess
STREAM = 77


class SimulatedCuda:
    """Stands for `cuda.bindings.runtime`; functions that it does not have are an error."""

    def __init__(self, gpus: int = 1) -> None:
        self.gpus = gpus
        self.device: dict[int, Any] = {}
        self.host: dict[int, Any] = {}
        self.allocations = 0
        self.launches = 0
        self.live_streams = self.live_graphs = 0
        self.knew_kernels = False
        self.capturable = True
        self._queue: list[Callable[[], None]] = []
        self._recording: list[Callable[[], None]] | None = None

    def __getattr__(self, name: str) -> Any:
        real = getattr(real_cuda, name)
        if not callable(real) or isinstance(real, type):
            return real  # enumerations and constants
        behaviour = SimulatedCuda.__dict__[f"_{name}"]

        def call(*args: Any) -> Any:
            check_call(real, name, args, {})
            result = behaviour(self, *args)
            return result if isinstance(result, tuple) else (SUCCESS, result)

        call.__name__ = name
        return call

    def enqueue(self, work: Callable[[], None]) -> None:
        """Do `work` in the order of the stream."""
        (self._queue if self._recording is None else self._recording).append(work)

    def on_device(self, address: int, size: int) -> bool:
        """Whether bytes lie in one allocation on the GPU."""
        return _inside(self.device, address, size)

    def _cudaGetDeviceCount(self) -> Any:
        if self.gpus:
            return self.gpus
        return real_cuda.cudaError_t.cudaErrorNoDevice, None

    def _cudaGetDeviceProperties(self, device: int) -> Any:
        return SimpleNamespace(name=b"Simulated", major=8, minor=9)

    def _cudaGetErrorString(self, error: Any) -> Any:
        return real_cuda.cudaGetErrorString(error)

    def _cudaMalloc(self, size: int) -> int:
        return self._allocate(self.device, size)

    def _cudaMallocHost(self, size: int) -> int:
        return self._allocate(self.host, size)

    def _allocate(self, kind: dict[int, Any], size: int) -> int:
        self.allocations += 1
        block = (ctypes.c_uint8 * (size + 256))()
        address = -(-ctypes.addressof(block) // 256) * 256
        kind[address] = (block, size)
        return address

    def _cudaFree(self, address: int) -> tuple[Any]:
        del self.device[address]
        return (SUCCESS,)

    def _cudaFreeHost(self, address: int) -> tuple[Any]:
        del self.host[address]
        return (SUCCESS,)

    def _cudaMemcpyAsync(self, dst: int, src: int, size: int, kind: Any, stream: int) -> tuple[Any]:
        assert stream == STREAM
        up = kind == real_cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        to, source = (self.device, self.host) if up else (self.host, self.device)
        assert _inside(to, dst, size)
        assert _inside(source, src, size)
        self.enqueue(lambda: ctypes.memmove(dst, src, size))
        return (SUCCESS,)

    def _cudaStreamCreateWithFlags(self, flags: int) -> int:
        self.live_streams += 1
        return STREAM

    def _cudaStreamDestroy(self, stream: int) -> tuple[Any]:
        self.live_streams -= 1
        return (SUCCESS,)

    def _cudaStreamSynchronize(self, stream: int) -> tuple[Any]:
        if self._recording is not None:
            return (real_cuda.cudaError_t.cudaErrorStreamCaptureUnsupported,)
        queue, self._queue = self._queue, []
        for work in queue:
            work()
        return (SUCCESS,)

    def _cudaStreamBeginCapture(self, stream: int, mode: Any) -> tuple[Any]:
        assert self._recording is None
        self._recording = []
        return (SUCCESS,)

    def _cudaStreamEndCapture(self, stream: int) -> Any:
        recorded, self._recording = self._recording, None
        return recorded

    def _cudaGraphInstantiate(self, graph: Any, flags: int) -> Any:
        self.live_graphs += 1
        return list(graph)

    def _cudaGraphLaunch(self, graph: Any, stream: int) -> tuple[Any]:
        self.launches += 1
        for work in graph:
            self.enqueue(work)
        return (SUCCESS,)

    def _cudaGraphDestroy(self, graph: Any) -> tuple[Any]:
        return (SUCCESS,)

    def _cudaGraphExecDestroy(self, graph: Any) -> tuple[Any]:
        self.live_graphs -= 1
        return (SUCCESS,)


def refuse_uint8(graph: bytes) -> None:
    """`ValueError`, as the real parser says it, if anything but a cast reads the images."""
    nodes = onnx.load_from_string(graph).graph.node
    for node in nodes:
        if "image" in node.input and node.op_type != "Cast":
            raise ValueError(f"{node.name}: first input has type UInt8 but must have type Float")


def simulated_engine(cuda: SimulatedCuda, onnx_bytes: bytes, batches: list[int]) -> Double:
    """Engine of a graph with one optimization profile per batch size."""
    session = onnxruntime.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
    names = [node.name for node in (*session.get_inputs(), *session.get_outputs())]
    return Double(
        trt.ICudaEngine,
        num_io_tensors=len(names),
        get_tensor_name=lambda index: names[index],
        num_optimization_profiles=len(batches),
        create_execution_context=lambda settings: _context(cuda, session, batches),
        **({"create_runtime_config": lambda: _runtime_config(cuda)} if FOR_RTX else {}),
    )


def _runtime_config(cuda: SimulatedCuda) -> Double:
    """Knows kernels that an earlier process has compiled, unless they are damaged."""

    def deserialize(kernels: bytes) -> bool:
        cuda.knew_kernels = kernels == b"kernels"
        return cuda.knew_kernels

    cache = Double(trt.IRuntimeCache, deserialize=deserialize, serialize=b"kernels")
    return Double(trt.IRuntimeConfig, create_runtime_cache=cache, set_runtime_cache=True)


def _context(cuda: SimulatedCuda, session: Any, batches: list[int]) -> Double:
    image = session.get_inputs()[0]
    state: dict[str, Any] = {"profile": 0, "shape": None, "addresses": {}}

    def select(profile: int, stream: int) -> bool:
        assert stream == STREAM
        state.update(profile=profile, shape=None)
        return 0 <= profile < len(batches)

    def set_shape(name: str, shape: tuple[int, ...]) -> bool:
        state["shape"] = shape
        return name == image.name and shape == (batches[state["profile"]], *image.shape[1:])

    def shape_of(name: str) -> tuple[int, ...]:
        node = next(n for n in session.get_outputs() if n.name == name)
        return (state["shape"][0], *node.shape[1:])

    def bind(name: str, address: int) -> bool:
        state["addresses"][name] = address
        return address % 256 == 0

    def compute() -> None:
        address, count = state["addresses"][image.name], int(np.prod(state["shape"]))
        assert cuda.on_device(address, count)
        pixels = (ctypes.c_uint8 * count).from_address(address)
        images = np.frombuffer(pixels, np.uint8).reshape(state["shape"])
        outputs = [node.name for node in session.get_outputs()]
        for name, value in zip(outputs, session.run(outputs, {image.name: images}), strict=True):
            target = state["addresses"][name]
            assert value.dtype == np.float32
            assert cuda.on_device(target, value.nbytes)
            ctypes.memmove(target, value.ctypes.data, value.nbytes)

    def execute(stream: int) -> bool:
        assert stream == STREAM
        cuda.enqueue(compute)
        return True

    return Double(
        trt.IExecutionContext,
        set_optimization_profile_async=select,
        set_input_shape=set_shape,
        get_tensor_shape=shape_of,
        set_tensor_address=bind,
        execute_async_v3=execute,
        **({"is_stream_capturable": lambda stream: cuda.capturable} if FOR_RTX else {}),
    )


def _inside(blocks: dict[int, Any], address: int, size: int) -> bool:
    return any(start <= address and address + size <= start + n for start, (_, n) in blocks.items())
