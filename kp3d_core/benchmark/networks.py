"""The networks that are compared, as model files in memory or as plain ONNX graphs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from kp3d_core.inference import Model, load_model
from kp3d_core.inference.model import TrainingCamera
from kp3d_core.models import create_model
from kp3d_core.models.graph import DetectorGraph
from kp3d_core.package.quantize import int8_graph
from kp3d_core.package.to_onnx import export_graph, first_metadata, write_model
from kp3d_core.training.packaged import file_metadata

PAPER_SIZE = 128
"""Input of the paper's networks [px]."""
_NUM_KEYPOINTS = 10
_DISTANCE = 30.0


def random_graph(network: str, input_size: int, mirror: bool) -> DetectorGraph:
    """A network with random weights: its speed does not depend on them."""
    torch.manual_seed(0)
    model = create_model(network, _NUM_KEYPOINTS).eval()
    return DetectorGraph(model, input_size, _DISTANCE, mirror).eval()


def model_of(graph: DetectorGraph, name: str) -> Model:
    """Model file of a graph, with metadata that says nothing."""
    camera = TrainingCamera(1.0, graph.distance)
    metadata = first_metadata(graph, "none", camera, {}, name, "0") | {"provenance": {}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_model(export_graph(graph), metadata, path)
        return load_model(path)


def quantized(model: Model, images: Iterable[NDArray[np.uint8]]) -> Model:
    """The model in int8, its ranges taken from the images."""
    metadata = file_metadata(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        proto = onnx.load_from_string(int8_graph(model.data, images))
        write_model(proto, metadata | {"precision": "int8"}, path)
        return load_model(path)


def multiplications(data: bytes) -> float:
    """Multiply-adds of a graph's convolutions for one image; all else is less than a percent."""
    model = onnx.load_from_string(data)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]  # may name the batch; inferred anew below
    for value in model.graph.output:
        for dimension in value.type.tensor_type.shape.dim:
            dimension.Clear()
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output)
    }
    shapes |= {constant.name: list(constant.dims) for constant in graph.initializer}
    total = 0.0
    for node in graph.node:
        if node.op_type == "Conv":
            assert np.prod(shapes[node.output[0]]), f"shape of {node.output[0]} is not known"
            total += float(np.prod(shapes[node.output[0]])) * np.prod(shapes[node.input[1]][1:])
    return total
