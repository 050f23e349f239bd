"""What TensorRT gets of an int8 file: the same ranges, in the form that it takes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from kp3d_core.inference.engines.signed import signed_graph

RNG = np.random.default_rng(0)
WEIGHTS = RNG.integers(-127, 128, (4, 3, 3, 3), np.int8)
SCALES = RNG.uniform(0.001, 0.01, 4).astype(np.float32)
CONSTANTS = {
    "x_scale": np.float32(4 / 255),
    "x_zero": np.uint8(64),  # -1.004 .. 2.996
    "w": WEIGHTS,
    "w_scale": SCALES,
    "w_zero": np.zeros(4, np.int8),
    "b": RNG.integers(-1000, 1000, 4, np.int32),
    "b_scale": SCALES * np.float32(4 / 255),
    "b_zero": np.zeros(4, np.int32),
}


def quantized_convolution(**constants) -> bytes:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_q"]),
        helper.make_node("DequantizeLinear", ["x_q", "x_scale", "x_zero"], ["x_f"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_f"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "b_scale", "b_zero"], ["b_f"], axis=0),
        helper.make_node("Conv", ["x_f", "w_f", "b_f"], ["y"], pads=[1, 1, 1, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in (CONSTANTS | constants).items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return proto.SerializeToString()


def run(data: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x})[0]


def constants_of(data: bytes) -> dict[str, np.ndarray]:
    return {c.name: numpy_helper.to_array(c) for c in onnx.load_from_string(data).graph.initializer}


def test_everything_is_signed_and_symmetric():
    graph = onnx.load_from_string(signed_graph(quantized_convolution())).graph
    values = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    quantizers = [node for node in graph.node if "quantize" in node.op_type.lower()]
    assert [node.op_type for node in quantizers] == ["QuantizeLinear", "DequantizeLinear"] * 2
    for node in quantizers:
        assert values[node.input[2]].dtype == np.int8
        assert not values[node.input[2]].any()
        assert node.input[0] not in values or values[node.input[0]].dtype == np.float32


def test_weights_come_out_of_their_quantizer_as_they_were():
    values = constants_of(signed_graph(quantized_convolution()))
    again = np.round(values["w_f_float"] / SCALES[:, None, None, None])
    assert np.array_equal(again, WEIGHTS)


def test_range_is_kept():
    values = constants_of(signed_graph(quantized_convolution()))
    # The larger end, 191 steps of 4/255 above zero, becomes 127 steps.
    assert values["x_scale_signed"] * 127 == pytest.approx(191 * 4 / 255)


def test_answers_differ_by_the_coarser_steps_only():
    x = RNG.uniform(-1, 2.99, (1, 3, 8, 8)).astype(np.float32)
    data = quantized_convolution()
    difference = run(signed_graph(data), x) - run(data, x)
    step = 191 * 4 / 255 / 127
    weight = np.abs(WEIGHTS.astype(np.float32) * SCALES[:, None, None, None]).sum((1, 2, 3)).max()
    assert 0 < np.abs(difference).max() < weight * step
    # On values that both grids hold (zero is one), nothing is lost.
    zero = np.zeros((1, 3, 8, 8), np.float32)
    np.testing.assert_allclose(run(signed_graph(data), zero), run(data, zero), rtol=1e-6)


def test_saturation_at_zero_becomes_a_relu():
    data = quantized_convolution(x_zero=np.uint8(0))
    negative = RNG.uniform(-3, 0, (1, 3, 8, 8)).astype(np.float32)
    expected = run(data, np.zeros_like(negative))
    np.testing.assert_allclose(run(data, negative), expected, rtol=1e-6)
    np.testing.assert_allclose(run(signed_graph(data), negative), expected, rtol=1e-6)


def test_graph_that_is_signed_already_stays():
    data = quantized_convolution(x_zero=np.int8(0))
    x = RNG.uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(run(signed_graph(data), x), run(data, x), rtol=1e-4, atol=1e-4)


def test_computed_scales_are_refused():
    proto = onnx.load_from_string(quantized_convolution())
    proto.graph.node.insert(0, helper.make_node("Identity", ["x_scale"], ["s"]))
    proto.graph.node[1].input[1] = "s"
    with pytest.raises(ValueError, match="Scales and zero points must be constants, got computed"):
        signed_graph(proto.SerializeToString())
