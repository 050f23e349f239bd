"""The networks that are compared, as model files in memory or as plain ONNX graphs."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kp3d_core.inference import Model, load_model
from kp3d_core.inference.model import Calibration
from kp3d_core.inference.model_metadata import FORMAT_VERSION
from kp3d_core.models import create_model
from kp3d_core.models.graph import DetectorGraph
from kp3d_core.package.quantize import int8_graph
from kp3d_core.package.to_onnx import OPSET, export_graph, write_model
from kp3d_core.palette import keypoint_colors
from kp3d_core.training.packaged import file_metadata

PAPER_SIZE = 128
"""Input of the paper's networks [px]."""
DOPE_SHAPE = (480, 640)
"""Images that DOPE's published speeds are for, height and width [px]."""
_NUM_KEYPOINTS = 10
_DISTANCE = 30.0


def random_graph(network: str, input_size: int, mirror: bool) -> DetectorGraph:
    """A network with random weights: its speed does not depend on them."""
    torch.manual_seed(0)
    model = create_model(network, _NUM_KEYPOINTS).eval()
    return DetectorGraph(model, input_size, _DISTANCE, mirror).eval()


def model_of(graph: DetectorGraph, name: str) -> Model:
    """Model file of a graph, with metadata that says nothing."""
    n = graph.num_keypoints
    metadata: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "category": "none",
        "version": "0",
        "precision": "fp32",
        "input_size": graph.input_size,
        "training_camera": {"focal_px": 1.0, "distance": graph.distance},
        "keypoints": {
            "names": [str(i) for i in range(n)],
            "colors": keypoint_colors(n),
            "edges": [],
            "canonical": np.eye(n, 3).tolist(),
            "spread": np.zeros((n, 3)).tolist(),
        },
        "calibration": asdict(Calibration()),
        "symmetry": "none",
        "metrics": {},
        "provenance": {},
    }
    with tempfile.TemporaryDirectory() as folder, quiet_export():
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


class DopeShaped(nn.Module):
    """The layers of DOPE: the front of VGG-19, then six stages of belief maps and vector fields.

    Its weights are random: it serves to compare arithmetic and time, not answers.

    Reference: Tremblay et al., Deep Object Pose Estimation for Semantic Robotic Grasping of
    Household Objects, CoRL 2018, section 3.1; stages after Wei et al., Convolutional Pose
    Machines, CVPR 2016, with a branch each for beliefs and fields.
    """

    _MAPS = (9, 16)
    """Belief maps of the centroid and 8 corners; two components of 8 vector fields."""
    _FRONT = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512)
    """Channels of VGG-19's first convolutions; 0 halves the resolution."""

    def __init__(self) -> None:
        """All six stages."""
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in self._FRONT:
            if width:
                layers += _convolution(channels, width, 3)
                channels = width
            else:
                layers.append(nn.MaxPool2d(2))
        layers += _convolution(channels, 256, 3) + _convolution(256, 128, 3)
        self.front = nn.Sequential(*layers)
        first = _Branches([_branch(128, 3, 3, 512, maps) for maps in self._MAPS])
        seen = 128 + sum(self._MAPS)
        others = [
            _Branches([_branch(seen, 5, 7, 128, maps) for maps in self._MAPS]) for _ in range(5)
        ]
        self.stages = nn.ModuleList([first, *others])

    def forward(self, image: Tensor) -> Tensor:
        """Maps (B, 25, H / 8, W / 8) of images (B, 3, H, W)."""
        known = features = self.front(image)
        for stage in self.stages:
            maps = stage(known)
            known = torch.cat([features, maps], dim=1)
        return maps


class _Branches(nn.ModuleList):
    """Networks that see the same; their maps are stacked."""

    def forward(self, known: Tensor) -> Tensor:
        """Stack the maps of all branches."""
        return torch.cat([branch(known) for branch in self], dim=1)


def _convolution(channels: int, width: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]


def _branch(channels: int, convolutions: int, kernel: int, last: int, maps: int) -> nn.Sequential:
    layers = _convolution(channels, 128, kernel)
    for _ in range(convolutions - 1):
        layers += _convolution(128, 128, kernel)
    return nn.Sequential(*layers, *_convolution(128, last, 1), nn.Conv2d(last, maps, 1))


def dope_shaped_graph() -> bytes:
    """ONNX file with input `image`, float32 (1, 3, 480, 640)."""
    torch.manual_seed(0)
    with quiet_export():
        program = torch.onnx.export(
            DopeShaped().eval(),
            (torch.zeros(1, 3, *DOPE_SHAPE),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            verbose=False,
        )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


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


@contextmanager
def quiet_export() -> Iterator[None]:
    """Silence for torch's exporter, which warns of packages that it does not need."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
