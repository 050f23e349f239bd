"""The two networks apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from kp3d_core.inference import load_model
from kp3d_core.inference.engines.nvidia.split import FLAG_NAME, ORIENTATION_OUTPUTS, split_graph
from kp3d_core.inference.engines.precision import tensorrt_graph
from kp3d_core.inference.outputs import output_shapes


def run_graph(graph: bytes, outputs: list[str], **inputs: Any) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(outputs, inputs), strict=True))


def test_the_two_networks_apart_answer_as_both_together():
    model = load_model("car")
    apart = split_graph(tensorrt_graph(model, "fp32"))
    size = (model.input_size, model.input_size, 3)
    image = np.random.default_rng(0).integers(0, 256, (3, *size), np.uint8)
    names = list(output_shapes(model.keypoints.count))
    expected = run_graph(model.data, names, image=image)
    first = list(ORIENTATION_OUTPUTS)
    got = run_graph(apart["orientation"], first, image=image)
    flag = got["orientation_uv"][:, 0, 0] > got["orientation_uv"][:, 1, 0]
    others = [name for name in names if name not in first]
    got |= run_graph(apart["keypoints"], others, image=image, **{FLAG_NAME: flag})
    for name in names:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-5)
    turned = run_graph(apart["keypoints"], others, image=image, **{FLAG_NAME: ~flag})
    assert np.abs(turned["keypoints_uv"] - expected["keypoints_uv"]).max() > 1


def test_a_graph_without_a_flag_cannot_be_cut(model):
    with pytest.raises(ValueError, match="must decide the flag by one comparison, got 0. Use a"):
        split_graph(model.data)
