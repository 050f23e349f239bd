"""The engine that evaluates checkpoints: the graph's own outputs, however many images at once."""

import numpy as np
import torch

from kp3d_core.evaluation.torch_engine import TorchEngine
from kp3d_core.inference.engines import Engine
from kp3d_core.models import create_model
from kp3d_core.models.graph import OUTPUT_NAMES, DetectorGraph


def test_outputs_are_the_graphs_in_any_batch():
    torch.manual_seed(0)
    graph = DetectorGraph(create_model("fast", 5), 32, 30.0)
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    engine = TorchEngine(graph, batch=2)
    assert isinstance(engine, Engine)
    outputs = engine.run(images)
    assert not graph.training
    with torch.no_grad():
        expected = graph(torch.from_numpy(images).to(engine.device))
    for name, value in zip(OUTPUT_NAMES, expected, strict=True):
        # 1e-4: sums in another order, as positions of up to 31 px in float32
        np.testing.assert_allclose(outputs[name], value.cpu().numpy(), atol=1e-4, err_msg=name)
