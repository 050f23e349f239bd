"""OpenVINO on the CPU: an optional engine for x86 processors."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np
import openvino
from numpy.typing import NDArray

from kp3d_core.inference.engines.base import (
    EngineOptions,
    check_images,
    check_outputs,
    describe_cpu,
)
from kp3d_core.inference.engines.buffers import HostBuffers, PerBatchSize
from kp3d_core.inference.engines.cpu import has_vnni
from kp3d_core.inference.engines.openvino_graph import (
    centre_leaky_activations,
    spare_overflowing_sums,
)
from kp3d_core.inference.engines.precision import graph_in, precision_of
from kp3d_core.inference.model import Model
from kp3d_core.inference.outputs import INPUT_NAME


class _Bound(NamedTuple):
    """Buffers of one batch size, and the request that reads and writes them."""

    buffers: HostBuffers
    request: Any


class OpenVinoEngine:
    """Compiles the graph when it is created, for any batch size; takes about a second."""

    def __init__(self, model: Model, options: EngineOptions) -> None:
        """Compile the model's bytes."""
        threads = options.cpu_threads
        self._model = model
        core = openvino.Core()
        graph = core.read_model(io.BytesIO(graph_in(model, options.precision)))
        centre_leaky_activations(graph)
        if not has_vnni():
            spare_overflowing_sums(graph)
        self._compiled = core.compile_model(graph, "CPU", settings(options))
        self._bound = PerBatchSize(self._bind)
        self.name = f"openvino {openvino.__version__.split('-')[0]}"
        self.device = describe_cpu(threads)
        self.precision = precision_of(model, options.precision)
        outputs = self._compiled({INPUT_NAME: HostBuffers.allocate(model, 1).images}).to_dict()
        check_outputs(self.name, {key.any_name: value for key, value in outputs.items()}, model)

    def run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Outputs of `output_shapes` for RGB crops of shape (B, S, S, 3)."""
        check_images(images, self._model.input_size)
        buffers, request = self._bound[len(images)]
        np.copyto(buffers.images, images)
        request.infer()
        return buffers.copy_outputs()

    def _bind(self, batch: int) -> _Bound:
        buffers = HostBuffers.allocate(self._model, batch)
        request = self._compiled.create_infer_request()
        request.set_tensor(INPUT_NAME, openvino.Tensor(buffers.images, shared_memory=True))
        for name, values in buffers.outputs.items():
            request.set_tensor(name, openvino.Tensor(values, shared_memory=True))
        return _Bound(buffers, request)


def check_machine(device: str) -> None:
    """OpenVINO runs on every CPU that it can be installed on."""


def settings(options: EngineOptions) -> dict[str, Any]:
    """Properties that a graph is compiled with."""
    return {
        "INFERENCE_NUM_THREADS": options.cpu_threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        # What the graph says: by default OpenVINO takes bfloat16 where the processor has it, which
        # moves keypoints by several tenths of a pixel,
        "INFERENCE_PRECISION_HINT": "f32",
        # and arithmetic of bytes where only weights are bytes.
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        "ENABLE_CPU_PINNING": options.pin_threads,
    }
