"""What an ONNX file declares, read with ONNX Runtime so that the `onnx` package is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

_ERRORS = tuple(
    getattr(ort_errors, name)
    for name in (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NoModel",
        "NoSuchFile",
        "NotImplemented",
        "RuntimeException",
    )
    if hasattr(ort_errors, name)
)


@dataclass(frozen=True)
class Tensor:
    """A declared input or output."""

    type: str
    """For example `tensor(float)`."""
    shape: Sequence[int | str | None]
    """A name or None where the length is free."""


@dataclass(frozen=True)
class Graph:
    """Inputs, outputs and metadata of a model file."""

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_graph(data: bytes) -> Graph:
    """Parse a model file; `ValueError` if ONNX Runtime cannot."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        metadata = session.get_modelmeta().custom_metadata_map
    except (*_ERRORS, UnicodeDecodeError) as error:
        raise ValueError(
            f"it is damaged, cut short, or no ONNX file ({str(error).splitlines()[0]}). "
            "Copy or export it again."
        ) from error
    return Graph(
        inputs={node.name: Tensor(node.type, node.shape) for node in session.get_inputs()},
        outputs={node.name: Tensor(node.type, node.shape) for node in session.get_outputs()},
        metadata=metadata,
    )
