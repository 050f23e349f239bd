"""Sums of products of bytes beyond 16 bits, which x86 processors without VNNI saturate unasked."""

from __future__ import annotations

import io

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from kp3d_core.inference import load_model, shipped_models
from kp3d_core.inference.engines.base import EngineOptions
from kp3d_core.inference.engines.onnxruntime_engine import create_session

CHANNELS, SIZE = 16, 8
BYTES = np.full((1, CHANNELS, SIZE, SIZE), 255, np.float32)
TRUTH = 255 * 127 * CHANNELS
"""Two products alone are 64,770, where 16 bits end at 32,767."""


def overflowing_convolution(weight: int = 127) -> bytes:
    """1x1 convolution of bytes with one weight, quantized before and behind."""
    constants = {
        "one": np.float32(1),
        "coarse": np.float32(TRUTH / 200),
        "zero": np.uint8(0),
        "w": np.full((CHANNELS, CHANNELS, 1, 1), weight, np.int8),
        "w_scale": np.ones(CHANNELS, np.float32),
        "w_zero": np.zeros(CHANNELS, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "one", "zero"], ["x_q"]),
        helper.make_node("DequantizeLinear", ["x_q", "one", "zero"], ["x_f"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_f"], axis=0),
        helper.make_node("Conv", ["x_f", "w_f"], ["sums"]),
        helper.make_node("QuantizeLinear", ["sums", "coarse", "zero"], ["y_q"]),
        helper.make_node("DequantizeLinear", ["y_q", "coarse", "zero"], ["y"]),
    ]
    shape = [1, CHANNELS, SIZE, SIZE]
    graph = helper.make_graph(
        nodes,
        "overflowing",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def test_onnx_runtime_adds_them_exactly():
    session = create_session(
        overflowing_convolution(), EngineOptions(threads=1, precision="int8"), quantized=True
    )
    np.testing.assert_allclose(session.run(["y"], {"x": BYTES})[0], TRUTH, rtol=1e-6)


def test_openvino_is_spared_them():
    openvino = pytest.importorskip("openvino")
    from kp3d_core.inference.engines.openvino_engine import settings
    from kp3d_core.inference.engines.openvino_graph import spare_overflowing_sums

    core = openvino.Core()
    graph = core.read_model(io.BytesIO(overflowing_convolution()))
    assert spare_overflowing_sums(graph) == 1
    compiled = core.compile_model(graph, "CPU", settings(EngineOptions(threads=1)))
    np.testing.assert_allclose(compiled({"x": BYTES})["y"], TRUTH, rtol=1e-6)
    for weight in (64, -64):  # 2 * 64 * 255 = 32,640 fits
        assert not spare_overflowing_sums(
            core.read_model(io.BytesIO(overflowing_convolution(weight)))
        )


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_stay_in_int8_but_for_their_first_layer(name):
    openvino = pytest.importorskip("openvino")
    from kp3d_core.inference.engines.openvino_graph import spare_overflowing_sums

    data = load_model(name).int8.data
    assert spare_overflowing_sums(openvino.Core().read_model(io.BytesIO(data))) <= 1
