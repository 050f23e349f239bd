"""Weights of a graph as small whole numbers of steps, with nodes that unpack them.

In the file a weight takes a byte, and compressed half of one, instead of four; an engine unpacks
all when it loads the graph. The int8 file holds the very same numbers, so that a repository keeps
both for little more than one.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from kp3d_core.inference.engines.unpacking import UNPACK_SUFFIX, packed_weights
from kp3d_core.models.rounding import MIN_WEIGHTS, in_steps


def pack_weights(graph: onnx.ModelProto, step: float) -> None:
    """Replace the weights of layers in place by whole steps and `DequantizeLinear` nodes.

    Args:
        graph: in float32.
        step: in standard deviations of an output channel's weights, see `models.rounding`.
    """
    for constant in layer_weights(graph):
        weight = torch.from_numpy(numpy_helper.to_array(constant).copy())
        numbers, steps = in_steps(weight, step)
        _replace(graph, constant, numbers.numpy(), steps.numpy())


def layer_weights(graph: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Constants that are weights of layers worth rounding.

    Not the grids that moments are made of: differences of their sums matter.
    """
    return [
        constant
        for constant in graph.graph.initializer
        if constant.name.endswith(".weight") and math.prod(constant.dims) >= MIN_WEIGHTS
    ]


def share_weights(quantized: onnx.ModelProto, packed: onnx.ModelProto) -> None:
    """Give a quantized graph the packed weights of the graph that it was made of, in place.

    The quantizer has found steps of its own for them; those of the packed graph are the ones that
    the network was trained for, and its bytes are in the repository already.
    """
    weights = packed_weights(packed)
    constants = {c.name: c for c in quantized.graph.initializer}
    for name, (numbers, steps) in weights.items():
        if name in constants:  # of a layer that stays in float32
            _replace(quantized, constants[name], numbers, steps)
            continue
        old_steps = numpy_helper.to_array(constants[f"{name}_scale"])
        _set(constants[f"{name}_quantized"], numbers)
        _set(constants[f"{name}_scale"], steps)
        _rescale_bias(quantized, constants, name, steps / old_steps)


def _replace(
    graph: onnx.ModelProto,
    constant: onnx.TensorProto,
    numbers: NDArray[np.int8],
    steps: NDArray[np.float32],
) -> None:
    """Whole numbers, steps and the node that multiplies them, instead of a float constant."""
    name = constant.name
    inputs: dict[str, NDArray] = {
        f"{name}_quantized": numbers,
        f"{name}_scale": steps.astype(np.float32),
        f"{name}_zero_point": np.zeros(len(steps), np.int8),
    }
    graph.graph.initializer.remove(constant)
    graph.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in inputs.items())
    node = helper.make_node(
        "DequantizeLinear", list(inputs), [name], name=f"{name}{UNPACK_SUFFIX}", axis=0
    )
    graph.graph.node.insert(0, node)


def _rescale_bias(
    graph: onnx.ModelProto,
    constants: dict[str, onnx.TensorProto],
    weight: str,
    change: NDArray[np.float32],
) -> None:
    """A bias counts in steps of its inputs' times its weights'."""
    makers = {output: node for node in graph.graph.node for output in node.output}
    for node in graph.graph.node:
        reads = [makers[name] for name in node.input if name in makers]
        if not any(f"{weight}_quantized" in maker.input for maker in reads):
            continue
        for maker in reads:
            numbers = constants.get(maker.input[0])
            if numbers is None or numbers.data_type != onnx.TensorProto.INT32:
                continue
            _set(numbers, np.rint(numpy_helper.to_array(numbers) / change).astype(np.int32))
            steps = constants[maker.input[1]]
            _set(steps, (numpy_helper.to_array(steps) * change).astype(np.float32))


def _set(constant: onnx.TensorProto, values: NDArray) -> None:
    constant.CopyFrom(numpy_helper.from_array(values, constant.name))
