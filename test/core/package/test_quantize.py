"""Smaller precisions: small differences, and everything else in the file as it was."""

import copy
import dataclasses
import io

import numpy as np
import onnx
import pytest
import torch

from kp3d_core.data.memory import load_views
from kp3d_core.evaluation.predictions import over_black
from kp3d_core.inference import create_engine, engine_names, load_model, shipped_models
from kp3d_core.inference.engines.base import EngineOptions
from kp3d_core.inference.engines.onnxruntime_engine import create_session
from kp3d_core.inference.engines.signed import signed_graph
from kp3d_core.models.rounding import MAX_STEPS, round_weights
from kp3d_core.package.quantize import int8_graph, quantized_nodes
from kp3d_core.package.to_onnx import write_model
from kp3d_core.training.packaged import file_metadata

pytestmark = pytest.mark.skipif("car" not in shipped_models(), reason="no car model is shipped")


@pytest.fixture(scope="module")
def int8_path(large_cars, tmp_path_factory):
    path = tmp_path_factory.mktemp("quantized") / "car_int8.onnx"
    car = load_model("car")
    views = load_views(large_cars / "train", car.input_size)
    graph = int8_graph(car.data, (over_black(views, i) for i in range(6)))
    write_model(onnx.load_from_string(graph), file_metadata(car) | {"precision": "int8"}, path)
    return path


@pytest.fixture(scope="module")
def images(large_cars):
    """Views of cars that nothing was calibrated on."""
    views = load_views(large_cars / "val", load_model("car").input_size)
    return np.concatenate([over_black(views, i) for i in range(3)])


@pytest.mark.parametrize("name", engine_names())
def test_int8_moves_keypoints_by_a_fraction_of_a_pixel_in_every_engine(int8_path, images, name):
    try:
        engine = create_engine(load_model(int8_path), name, threads=1)
    except ValueError as error:
        pytest.skip(str(error))
    assert engine.precision == "int8"
    expected = create_engine(load_model("car"), "onnxruntime", threads=1, precision=None).run(
        images
    )
    got = engine.run(images)
    distance = np.linalg.norm(got["keypoints_uv"] - expected["keypoints_uv"], axis=-1)
    # Eight bits resolve each activation to 0.4 % of its range; the error of the car model itself is
    # about a pixel.
    assert np.median(distance) < 0.2
    assert np.percentile(distance, 95) < 1
    assert np.median(np.abs(got["keypoints_depth"] - expected["keypoints_depth"])) < 0.02
    assert np.abs(np.log(got["scale"] / expected["scale"])).max() < 0.05


def test_softmax_and_moments_stay_in_float32(int8_path):
    graph = onnx.load(str(int8_path)).graph
    behind = {name for n in graph.node if n.op_type == "Softmax" for name in n.output}
    quantized = {n.input[0] for n in graph.node if n.op_type == "QuantizeLinear"}
    assert len(quantized) > 40
    for node in graph.node:  # in the order of their inputs
        inside = behind & set(node.input)
        assert not inside & quantized
        if inside and node.op_type not in ("Greater", "LessOrEqual"):
            behind |= set(node.output)


@pytest.fixture(scope="module")
def leaky():
    """Float32 and int8; as in the paper's networks normalisation has a shift but no scale."""
    rng = np.random.default_rng(0)
    constants = {
        "first": rng.normal(size=(8, 3, 3, 3)) / 1000,
        "shift": np.arange(8.0).reshape(8, 1, 1) / 8,
        "head": rng.normal(size=(4, 8, 1, 1)) / 2,
    }
    h = onnx.helper
    nodes = [
        h.make_node("Cast", ["image"], ["real"], to=onnx.TensorProto.FLOAT),
        h.make_node("Transpose", ["real"], ["pixels"], perm=[0, 3, 1, 2]),
        h.make_node("Conv", ["pixels", "first"], ["a"], "first_conv", pads=[1] * 4),
        h.make_node("Add", ["a", "shift"], ["b"], "add"),
        h.make_node("LeakyRelu", ["b"], ["c"], "activation", alpha=0.1),
        h.make_node("Conv", ["c", "head"], ["d"], "head_conv"),
        h.make_node("Softmax", ["d"], ["e"], "softmax", axis=-1),
    ]
    info = h.make_tensor_value_info
    graph = h.make_graph(
        nodes,
        "shifted",
        [info("image", onnx.TensorProto.UINT8, ["B", 16, 16, 3])],
        [info("e", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 18)], ir_version=9)
    images = rng.integers(0, 256, (2, 16, 16, 3), np.uint8)
    data = model.SerializeToString()
    return data, int8_graph(data, [images])


def test_what_is_added_to_a_convolution_becomes_its_bias(leaky):
    quantized = onnx.load_from_string(leaky[1]).graph
    assert not [node for node in quantized.node if node.op_type == "Add"]
    first = next(node for node in quantized.node if node.op_type == "Conv")
    assert len(first.input) == 3


LEAKY_IMAGES = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3), np.uint8)


def _outputs(graph):
    """Of the leaky network, in ONNX Runtime."""
    session = create_session(graph, EngineOptions(threads=1), quantized=True)
    return session.run(None, {"image": LEAKY_IMAGES})[0]


def test_the_last_convolutions_multiply_bytes_and_give_floats(leaky):
    graph = onnx.load_from_string(leaky[1]).graph
    makers = {output: node for node in graph.node for output in node.output}
    head = next(node for node in graph.node if node.name == "head_conv")
    assert [makers[name].op_type for name in head.input[:2]] == ["DequantizeLinear"] * 2
    softmax = next(node for node in graph.node if node.op_type == "Softmax")
    assert softmax.input[0] == head.output[0]
    exact, rounded = (_outputs(data) for data in leaky)
    # Logits of up to 4, in steps of 1/256 of the ranges before them.
    assert np.abs(rounded - exact).max() < 0.03
    assert exact.max() > 0.3


def test_weights_that_were_rounded_in_training_stay_what_they_are(mirrored_graph, unpacked):
    graph = copy.deepcopy(mirrored_graph)
    round_weights(graph)
    proto = onnx.load_from_string(unpacked)
    state = graph.state_dict()
    for constant in proto.graph.initializer:
        if constant.name in state:
            values = state[constant.name].numpy()
            constant.CopyFrom(onnx.numpy_helper.from_array(values, constant.name))
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    data = int8_graph(proto.SerializeToString(), [images], seven_bits=True)
    quantized = onnx.load_from_string(data).graph
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in quantized.initializer}
    names = [n.removesuffix("_quantized") for n in constants if n.endswith("weight_quantized")]
    assert len(names) == sum(isinstance(m, torch.nn.Conv2d) for m in graph.modules())
    for name in names:
        numbers, steps = constants[f"{name}_quantized"], constants[f"{name}_scale"]
        assert np.abs(numbers).max() == MAX_STEPS  # no sum of two products overflows 16 bits
        values = numbers * steps[:, None, None, None]
        np.testing.assert_allclose(values, state[name].numpy(), rtol=1e-6, atol=1e-12)


def test_openvino_gets_leaky_activations_around_zero(leaky):
    openvino = pytest.importorskip("openvino")
    from kp3d_core.inference.engines.openvino_engine import settings
    from kp3d_core.inference.engines.openvino_graph import (
        centre_leaky_activations,
        spare_overflowing_sums,
    )

    core = openvino.Core()
    graph = core.read_model(io.BytesIO(leaky[1]))
    assert centre_leaky_activations(graph) == 2  # before and behind the leaky ReLU
    ends = [
        float(node.input_value(1).get_node().get_data().flat[0])
        for node in graph.get_ordered_ops()
        if node.get_type_name() == "FakeQuantize"
    ]
    assert sorted(end < 0 for end in ends) == [False, True, True]  # not the image itself
    assert spare_overflowing_sums(graph)  # as the engine does on processors that need it
    compiled = core.compile_model(graph, "CPU", settings(EngineOptions(threads=1)))
    # As above, with a bit less.
    assert np.abs(compiled({"image": LEAKY_IMAGES})[0] - _outputs(leaky[0])).max() < 0.05
    plain = core.read_model(io.BytesIO(leaky[0]))
    assert centre_leaky_activations(plain) == 0
    assert centre_leaky_activations(core.read_model(io.BytesIO(load_model("car").int8.data))) == 0


def test_what_is_quantized_ends_at_the_logits():
    graph = onnx.load_from_string(load_model("car").data).graph
    chosen, heads = map(set, quantized_nodes(graph))
    convolutions = {n.name for n in graph.node if n.op_type == "Conv"}
    assert len(heads) == 2
    assert chosen & convolutions == convolutions - heads
    assert not [n.name for n in graph.node if n.op_type == "Softmax" and n.name in chosen]


def test_form_for_tensorrt_answers_alike(int8_path, images):
    model = load_model(int8_path)
    signed = signed_graph(model.data)
    graph = onnx.load_from_string(signed).graph
    types = {c.name: c.data_type for c in graph.initializer}
    zeros = {types[n.input[2]] for n in graph.node if "quantizelinear" in n.op_type.lower()}
    assert zeros == {onnx.TensorProto.INT8}
    unsigned = create_engine(model, "onnxruntime", threads=1).run(images)
    got = create_engine(dataclasses.replace(model, data=signed), "onnxruntime", threads=1).run(
        images
    )
    distance = np.linalg.norm(got["keypoints_uv"] - unsigned["keypoints_uv"], axis=-1)
    # Symmetric ranges waste the half below zero: seven bits after each ReLU instead of eight.
    assert np.median(distance) < 0.3
