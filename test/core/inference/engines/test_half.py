"""float16 where the arithmetic is, float32 where the accuracy is decided."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from kp3d_core.inference import create_engine, load_model, shipped_models
from kp3d_core.inference.engines.half import half_graph

pytestmark = pytest.mark.skipif("car" not in shipped_models(), reason="no car model is shipped")


@pytest.fixture(scope="module")
def graph():
    half = onnx.load_from_string(half_graph(load_model("car").data))
    return onnx.shape_inference.infer_shapes(half).graph


@pytest.fixture(scope="module")
def types(graph):
    """Type of each tensor's elements."""
    values = [*graph.input, *graph.value_info, *graph.output]
    constants = {c.name: c.data_type for c in graph.initializer}
    return {v.name: v.type.tensor_type.elem_type for v in values} | constants


def test_all_convolutions_are_float16(graph, types):
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 20
    for node in convolutions:
        assert [types[name] for name in node.input] == [TensorProto.FLOAT16] * 3


@pytest.mark.parametrize(
    "kind", ["Softmax", "MatMul", "ReduceSum", "ReduceMean", "Gemm", "Greater"]
)
def test_what_decides_accuracy_is_float32(graph, types, kind):
    nodes = [node for node in graph.node if node.op_type == kind]
    assert nodes
    assert {types[node.input[0]] for node in nodes} == {TensorProto.FLOAT}


def test_inputs_and_outputs_are_as_before(graph):
    before = onnx.load_from_string(load_model("car").data).graph
    assert list(graph.input) == list(before.input)
    assert [v.name for v in graph.output] == [v.name for v in before.output]
    for value in graph.output:
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT


def test_few_casts_and_no_weights_twice(graph):
    # Into float16 after the image and at the three flags, out of it before softmax, mean, depths.
    assert sum(node.op_type == "Cast" for node in graph.node) < 15
    used = {name for node in graph.node for name in node.input}
    assert {c.name for c in graph.initializer} <= used


def test_file_says_its_precision_and_engines_follow(model):
    engine = create_engine(model, "onnxruntime", threads=1, precision="fp16")
    assert engine.precision == "fp16"
    assert create_engine(model, "onnxruntime", threads=1).precision == "fp32"


def test_graph_that_returns_a_convolution_is_refused():
    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    node = helper.make_node("Conv", ["x", "w"], ["y"])
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 1, 1], [1.0])
    graph = helper.make_graph([node], "g", [value("x", [1, 1, 2, 2])], [], [weights])
    graph.output.append(value("y", [1, 1, 2, 2]))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ValueError, match="must be decoded from heatmaps, got y straight from"):
        half_graph(proto.SerializeToString())
