"""Networks in torch, their model files, and rendered images to compare engines on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    from kp3d_core.inference import Model

SIZE = 64
SEEDS = {"fast": 6, "paper": 0}
"""Random networks that rounding does not tip over, as it does not trained ones: orientation is
decided in all images, and no second peak of a heatmap lies on the edge of its score's radius."""


@dataclass(frozen=True)
class Case:
    """One network as torch computes it and as a model file has it."""

    model: Model
    int8: Model
    """The same, quantized and calibrated on the images."""
    images: NDArray[np.uint8]
    """Rendered views (B, S, S, 3)."""
    expected: dict[str, NDArray[np.float32]]
    """What torch says of them."""


@pytest.fixture(scope="session")
def images(rendered_cars) -> NDArray[np.uint8]:
    """Eight rendered views."""
    from kp3d_core.data.memory import load_views
    from kp3d_core.evaluation.predictions import over_black

    views = load_views(rendered_cars / "val", SIZE)
    return np.concatenate([over_black(views, i) for i in range(2)])[:8]


@pytest.fixture(scope="session", params=["fast", "paper"])
def case(request, images, tmp_path_factory) -> Case:
    """Each network with random weights, its heatmaps as sharp as those of a trained one."""
    import onnx
    import torch

    from kp3d_core.inference import load_model
    from kp3d_core.models.graph import OUTPUT_NAMES, DetectorGraph
    from kp3d_core.package.quantize import int8_graph
    from kp3d_core.package.to_onnx import export_graph, write_model

    network = _sharp_network(request.param, images)
    is_fast = request.param == "fast"  # with all that a file may have: mirror and refiner
    graph = DetectorGraph(
        network, SIZE, 30.0, mirror=is_fast, refiner=_refiner() if is_fast else None
    )
    path = tmp_path_factory.mktemp("models") / f"{request.param}.onnx"
    write_model(export_graph(graph.eval()), _metadata(graph.num_keypoints), path)
    model = load_model(path)
    int8 = onnx.load_from_string(int8_graph(model.data, [images]))
    write_model(int8, _metadata(graph.num_keypoints) | {"precision": "int8"}, path)
    with torch.no_grad():
        outputs = graph(torch.from_numpy(images))
    expected = {name: value.numpy() for name, value in zip(OUTPUT_NAMES, outputs, strict=True)}
    assert expected["orientation_score"].min() > 0.6  # rounding is not to choose it
    return Case(model, load_model(path), images, expected)


def _sharp_network(name: str, images: NDArray[np.uint8]) -> Any:
    """Random network whose batch statistics are those of the images, with a gain on its heads."""
    import torch

    from kp3d_core.models import create_model

    torch.manual_seed(SEEDS[name])
    network = create_model(name, 10)
    batch = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    batch = torch.cat([batch, batch.flip(-1)])  # the graph decodes both
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # average over all batches seen
    with torch.no_grad():
        encoding = network.encode(batch)
        maps = network.decode(encoding, (torch.arange(len(batch)) % 2).float())
        for head, logits in _heads(network, encoding.orientation_logits, maps.heatmap_logits):
            gain = 3 / logits.std()  # a softmax over thousands of cells then has a clear peak
            head.weight *= gain
            head.bias *= gain
    return network.eval()


def _refiner() -> Any:
    """One that moves keypoints by about as much as a fitted one."""
    import torch

    from kp3d_core.models.refiner import Refiner

    torch.manual_seed(0)
    refiner = Refiner(10, 6, 96, unit_ndc=0.7)
    torch.nn.init.normal_(refiner.layers[-1].weight, std=0.01)
    return refiner.eval()


def _heads(network: Any, orientation: Any, keypoints: Any) -> list[tuple[Any, Any]]:
    if hasattr(network, "keypoint_head"):
        return [(network.orientation_head, orientation), (network.keypoint_head, keypoints)]
    return [
        (network.orientation_network.head, orientation),
        (network.keypoint_network.heatmap_head, keypoints),
    ]


def _metadata(n: int) -> dict[str, Any]:
    from tiny_model import metadata

    content = metadata(SIZE)
    rng = np.random.default_rng(0)
    content["keypoints"] = {
        "names": [f"keypoint_{i}" for i in range(n)],
        "colors": np.zeros((n, 3)).tolist(),
        "edges": [],
        "canonical": rng.uniform(-1, 1, (n, 3)).tolist(),
        "spread": np.zeros((n, 3)).tolist(),
    }
    return content
