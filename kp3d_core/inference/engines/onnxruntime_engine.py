"""ONNX Runtime: on the CPU the default engine, on every machine; and on NVIDIA GPUs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kp3d_core.inference.engines.base import (
    EngineOptions,
    EngineUnavailable,
    available_cores,
    check_images,
    check_outputs,
    describe_cpu,
)
from kp3d_core.inference.engines.buffers import HostBuffers, PerBatchSize
from kp3d_core.inference.engines.precision import graph_in, precision_of
from kp3d_core.inference.model import Model
from kp3d_core.inference.outputs import INPUT_NAME, output_shapes

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def check_machine(device: str) -> None:
    """`EngineUnavailable` unless this ONNX Runtime is made for the device."""
    if device == "cuda" and _CUDA not in onnxruntime.get_available_providers():
        raise EngineUnavailable(
            f"device cuda needs onnxruntime-gpu, this is onnxruntime {onnxruntime.__version__} "
            f"with {', '.join(onnxruntime.get_available_providers())}. Replace it: pip uninstall "
            "onnxruntime, then pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )


class _Bound(NamedTuple):
    """Buffers of one batch size, and their binding to the session's input and outputs."""

    buffers: HostBuffers
    binding: onnxruntime.IOBinding


class OnnxRuntimeEngine:
    """Runs the model file as it is; needs no cache."""

    def __init__(self, model: Model, options: EngineOptions) -> None:
        """Load the graph from the model's bytes, so that nothing outside them can be read."""
        self._model = model
        self.precision = precision_of(model, options.precision)
        graph = graph_in(model, options.precision)
        self._session = create_session(graph, options, quantized=self.precision == "int8")
        self._bound = PerBatchSize(self._bind)
        self.name = f"onnxruntime {onnxruntime.__version__}"
        on_cuda = options.device == "cuda"
        self.device = "cuda" if on_cuda else describe_cpu(options.cpu_threads)
        names = list(output_shapes(model.keypoints.count))
        outputs = self._session.run(names, {INPUT_NAME: HostBuffers.allocate(model, 1).images})
        check_outputs(self.name, dict(zip(names, outputs, strict=True)), model)

    def run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Outputs of `output_shapes` for RGB crops of shape (B, S, S, 3)."""
        check_images(images, self._model.input_size)
        buffers, binding = self._bound[len(images)]
        np.copyto(buffers.images, images)
        self._session.run_with_iobinding(binding)
        return buffers.copy_outputs()

    def _bind(self, batch: int) -> _Bound:
        buffers = HostBuffers.allocate(self._model, batch)
        binding = self._session.io_binding()
        wrap = onnxruntime.OrtValue.ortvalue_from_numpy  # shares the array's memory
        binding.bind_ortvalue_input(INPUT_NAME, wrap(buffers.images))
        for name, values in buffers.outputs.items():
            binding.bind_ortvalue_output(name, wrap(values))
        return _Bound(buffers, binding)


def create_session(
    graph: bytes, options: EngineOptions, quantized: bool = False
) -> onnxruntime.InferenceSession:
    """Session of any graph, with the threads that the engine uses."""
    threads = options.cpu_threads
    session = onnxruntime.SessionOptions()
    session.intra_op_num_threads = threads
    session.inter_op_num_threads = 1
    # Idle workers sleep. Spinning gained nothing with 2 threads at 30 Hz (3.0 ms a run either way)
    # and burnt 50 % of a core instead of 9 %. On a virtual Zen 3, where waking up is slow, spinning
    # for 3 ms took 2.6 ms off a run, but a fifth off the node's highest rate.
    session.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if options.pin_threads and threads > 1:
        session.add_session_config_entry("session.intra_op_thread_affinities", _affinities(threads))
    if quantized:
        # Exact sums on x86 processors without VNNI, which else saturate them at 16 bits; others
        # are as before. On Zen 3 the shipped models take 5.9 ms either way; networks that were not
        # finetuned take longer, the paper's 152 instead of 87 ms.
        session.add_session_config_entry("session.x64quantprecision", "1")
    session.log_severity_level = 3
    created = onnxruntime.InferenceSession(graph, session, providers=_providers(options.device))
    if options.device == "cuda" and _CUDA not in created.get_providers():
        raise EngineUnavailable(
            f"onnxruntime {onnxruntime.__version__} could not start CUDA and would run on the CPU. "
            "Check `nvidia-smi`, and that CUDA and cuDNN 9 are installed: "
            "pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    return created


def _providers(device: str) -> list[Any]:
    """What runs the nodes of a graph, the first one as many as it can."""
    if device != "cuda":
        return [_CPU]
    check_machine(device)
    if hasattr(onnxruntime, "preload_dlls"):  # CUDA and cuDNN as packages from PyPI
        onnxruntime.preload_dlls()
    # fp32 means fp32, as with TensorRT. Batch sizes change while a node searches: trying out all
    # algorithms for each new one would stall it.
    options = {"device_id": 0, "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"}
    return [(_CUDA, options), _CPU]


def _affinities(threads: int) -> str:
    """Cores of the workers; the calling thread is the first one and stays where it is."""
    cores = available_cores()
    # ONNX Runtime counts processors from 1.
    return ";".join(str(cores[i % len(cores)] + 1) for i in range(1, threads))
