"""ONNX Runtime on the CPU: the default engine."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from kp3d_core.inference.model import Model
from kp3d_core.inference.outputs import INPUT_NAME, output_shapes

_DEFAULT_THREADS = 2
"""More threads gain little on a network this small and take cores from the rest of the robot."""


class OnnxRuntimeEngine:
    """Runs the model file as it is; needs no cache."""

    def __init__(self, model: Model, threads: int | None = None) -> None:
        """Load the graph from the model's bytes, so that nothing outside them can be read."""
        threads = threads or min(_DEFAULT_THREADS, _available_cores())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle workers sleep. Spinning gained nothing with 2 threads at 30 Hz (3.0 ms a run either
        # way) and burnt 50 % of a core instead of 9 %.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.data, options, providers=["CPUExecutionProvider"]
        )
        self._outputs = list(output_shapes(model.keypoints.count))
        self.name = f"onnxruntime {onnxruntime.__version__}"
        self.device = f"cpu ({threads} thread{'s' if threads > 1 else ''})"

    def run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Outputs of `output_shapes` for RGB crops of shape (B, S, S, 3)."""
        values = self._session.run(self._outputs, {INPUT_NAME: np.ascontiguousarray(images)})
        return dict(zip(self._outputs, values, strict=True))


def _available_cores() -> int:
    """Cores that this process may use, which a container or taskset may have limited."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
