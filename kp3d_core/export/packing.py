"""Weights of a graph as small whole numbers of steps, with nodes that unpack them.

In the file a weight takes a byte, and compressed half of one, instead of four; an engine unpacks
all when it loads the graph. The int8 file holds the very same numbers, so that a repository keeps
both for little more than one. A file of a network that was trained on can hold the numbers of an
earlier file and beside them what they have changed by, mostly nothing: a repository that has the
earlier one keeps half as much of the new file (measured where 30 % of the numbers had changed).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from kp3d_core.inference.engines.unpacking import (
    BASE_SUFFIX,
    CHANGE_SUFFIX,
    SUM_SUFFIX,
    UNPACK_SUFFIX,
    PackedWeight,
    packed_weights,
)
from kp3d_core.models.rounding import MIN_WEIGHTS, in_steps, layers_in_steps


def pack_weights(
    graph: onnx.ModelProto, module: nn.Module, earlier: onnx.ModelProto | None = None
) -> None:
    """Replace the weights of layers in place by whole steps and `DequantizeLinear` nodes.

    Args:
        graph: exported from the module, in float32.
        module: whose layers have steps, see `models.rounding`.
        earlier: packed graph of an earlier state of the same network; its numbers are kept, and
            what has changed is added.

    Raises:
        ValueError: `earlier` is of another network, or has other steps.
    """
    layers = {f"{name}.weight": layer for name, layer in layers_in_steps(module).items()}
    before = None if earlier is None else packed_weights(earlier)
    for constant in layer_weights(graph):
        layer = layers[constant.name]
        numbers = in_steps(layer.weight.detach(), layer.weight_steps)  # type: ignore[arg-type]
        packed = PackedWeight(numbers.numpy(), None, layer.weight_steps.numpy())  # type: ignore[operator]
        if before is not None:
            packed = _as_change(constant.name, packed, before)
        _replace(graph, constant, packed)


def _as_change(name: str, packed: PackedWeight, before: Mapping[str, PackedWeight]) -> PackedWeight:
    """The same numbers as those of an earlier file and what they have changed by."""
    base = before.get(name)
    if base is None or base.base.shape != packed.base.shape:
        raise ValueError(
            "The earlier file must be a packed one of the same network, got one "
            + (f"without {name}." if base is None else f"with another shape of {name}.")
            + " Export without it."
        )
    if not np.allclose(base.steps, packed.steps, rtol=1e-6):
        raise ValueError(
            f"The earlier file must be of a checkpoint that this one was polished from, got other "
            f"steps of {name}. Export without it."
        )
    change = packed.base - base.base
    return PackedWeight(base.base, change if change.any() else None, base.steps)


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
    constants = {c.name: c for c in quantized.graph.initializer}
    for name, weight in packed_weights(packed).items():
        if name in constants:  # of a layer that stays in float32
            _replace(quantized, constants[name], weight)
            continue
        old_steps = numpy_helper.to_array(constants[f"{name}_scale"])
        _set(constants[f"{name}_scale"], weight.steps)
        _rescale_bias(quantized, constants, name, weight.steps / old_steps)
        quantized.graph.initializer.remove(constants[name + BASE_SUFFIX])
        for node in quantized.graph.node:
            for index, source in enumerate(node.input):
                if source == name + BASE_SUFFIX:
                    node.input[index] = _numbers_of(name, weight)
        _add_numbers(quantized, name, weight)


def _replace(graph: onnx.ModelProto, constant: onnx.TensorProto, weight: PackedWeight) -> None:
    """Whole numbers, steps and the node that multiplies them, instead of a float constant."""
    name = constant.name
    graph.graph.initializer.remove(constant)
    inputs: dict[str, NDArray] = {
        f"{name}_scale": weight.steps.astype(np.float32),
        f"{name}_zero_point": np.zeros(len(weight.steps), np.int8),
    }
    graph.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in inputs.items())
    node = helper.make_node(
        "DequantizeLinear",
        [_numbers_of(name, weight), *inputs],
        [name],
        name=f"{name}{UNPACK_SUFFIX}",
        axis=0,
    )
    graph.graph.node.insert(0, node)
    _add_numbers(graph, name, weight)


def _numbers_of(name: str, weight: PackedWeight) -> str:
    """The tensor that holds the whole numbers of weights."""
    return name + (BASE_SUFFIX if weight.change is None else SUM_SUFFIX)


def _add_numbers(graph: onnx.ModelProto, name: str, weight: PackedWeight) -> None:
    """Put whole numbers into a graph, before all nodes that read them.

    Base and change are added as int32: ONNX Runtime adds no int8. An engine does it once, when it
    loads the graph.
    """
    base, change, total = (name + suffix for suffix in (BASE_SUFFIX, CHANGE_SUFFIX, SUM_SUFFIX))
    graph.graph.initializer.append(numpy_helper.from_array(weight.base, base))
    if weight.change is None:
        return
    graph.graph.initializer.append(numpy_helper.from_array(weight.change, change))
    wide, wide_change, wide_total = (f"{t}_int32" for t in (base, change, total))
    nodes = [
        helper.make_node("Cast", [base], [wide], to=TensorProto.INT32),
        helper.make_node("Cast", [change], [wide_change], to=TensorProto.INT32),
        helper.make_node("Add", [wide, wide_change], [wide_total]),
        helper.make_node("Cast", [wide_total], [total], to=TensorProto.INT8),
    ]
    for node in reversed(nodes):
        node.name = f"{node.output[0]}{UNPACK_SUFFIX}"
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
        if not any(weight + BASE_SUFFIX in maker.input for maker in reads):
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
