"""Nothing but a cast reads the images, and the answers stay."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from kp3d_core.inference.engines.cast_first import cast_images_first


def graph_of(*nodes: onnx.NodeProto, output: int = TensorProto.FLOAT) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "images",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["b", 4, 4, 3])],
        [helper.make_tensor_value_info("y", output, ["b", 3, 4, 4])],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return proto.SerializeToString()


def transpose(source: str, target: str) -> onnx.NodeProto:
    return helper.make_node("Transpose", [source], [target], perm=[0, 3, 1, 2])


def cast(source: str, target: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], to=TensorProto.FLOAT)


def test_a_graph_that_transposes_first_is_rewritten():
    data = graph_of(transpose("image", "t"), cast("t", "y"))
    rewritten = cast_images_first(data)
    readers = [n for n in onnx.load_from_string(rewritten).graph.node if "image" in n.input]
    assert [node.op_type for node in readers] == ["Cast"]
    image = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    answers = [
        onnxruntime.InferenceSession(d, providers=["CPUExecutionProvider"]).run(
            None, {"image": image}
        )[0]
        for d in (data, rewritten)
    ]
    assert np.array_equal(*answers)
    assert cast_images_first(rewritten) == rewritten


def test_a_graph_that_casts_first_stays_as_it_is():
    data = graph_of(cast("image", "f"), transpose("f", "y"))
    assert cast_images_first(data) is data


def test_what_needs_bytes_is_refused():
    shift = helper.make_node("BitShift", ["image", "image"], ["s"], direction="LEFT")
    data = graph_of(shift, transpose("s", "t"), cast("t", "y"))
    with pytest.raises(ValueError, match="must be read by nodes that take float32, too, got BitSh"):
        cast_images_first(data)


def test_the_exporter_casts_first(case):
    for model in (case.model, case.int8):
        nodes = onnx.load_from_string(model.data).graph.node
        # A shape takes images of any type.
        assert {n.op_type for n in nodes if "image" in n.input} - {"Shape"} == {"Cast"}
