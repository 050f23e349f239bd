"""An int8 graph in the form that TensorRT takes: signed, symmetric, weights and biases as floats.

Files hold the form that CPUs are fastest with: uint8 activations with any zero point, weights that
are int8 already and biases that are int32. A range that begins at zero stands for a ReLU there,
which the quantizer has taken out. Needs the `onnx` package.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from kp3d_core.inference.engines.half import with_graph

_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


def signed_graph(data: bytes) -> bytes:
    """ONNX file with the same ranges of all tensors, in steps of 1/127 of the larger end."""
    model = onnx.load_from_string(data)
    values = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    added: dict[str, NDArray] = {}
    for node in model.graph.node:
        if node.op_type not in _QUANTIZERS:
            nodes.append(node)
            continue
        source, scale, zero = (values.get(name) for name in node.input)
        if scale is None or zero is None:
            raise ValueError(
                "Scales and zero points must be constants, got computed ones in "
                f"{node.name or node.op_type}. Use a file that `kp3d package` wrote."
            )
        target = node.output[0]
        if source is None:
            if node.op_type == "QuantizeLinear" and zero.dtype == np.uint8 and not zero.any():
                nodes.append(_rectified(node))
            added |= _make_signed(node, scale, zero)
            nodes.append(node)
        elif source.dtype == np.int32:  # a bias
            added[target] = source.astype(np.float32) * scale
        else:
            added[f"{target}_float"] = _dequantized(source, scale, zero, node)
            quantized = helper.make_node(
                "QuantizeLinear",
                [f"{target}_float", *node.input[1:]],
                [f"{target}_int8"],
                name=f"{target}_quantize",
            )
            quantized.attribute.extend(node.attribute)
            node.input[0] = f"{target}_int8"
            nodes += [quantized, node]
    used = {name for node in nodes for name in node.input}
    constants = [c for c in model.graph.initializer if c.name in used]
    constants += [numpy_helper.from_array(value, name) for name, value in added.items()]
    return with_graph(model, nodes, constants)


def _rectified(node: onnx.NodeProto) -> onnx.NodeProto:
    """ReLU that does what saturation at zero did; the node reads it from now on."""
    source = node.input[0]
    node.input[0] = f"{source}_rectified"
    return helper.make_node("Relu", [source], [node.input[0]], name=node.input[0])


def _make_signed(
    node: onnx.NodeProto, scale: NDArray[np.float32], zero: NDArray[np.integer]
) -> dict[str, NDArray]:
    """Let an activation's node use int8 around 0; returns the constants that it needs."""
    if zero.dtype != np.uint8:
        return {}
    names = [f"{name}_signed" for name in node.input[1:]]
    node.input[1:] = names
    offset = zero.astype(np.float32)
    steps = np.maximum(offset, 255 - offset) / 127
    return {
        names[0]: np.asarray(scale * steps, np.float32),
        names[1]: np.zeros_like(zero, np.int8),
    }


def _dequantized(
    source: NDArray[np.int8],
    scale: NDArray[np.float32],
    zero: NDArray[np.int8],
    node: onnx.NodeProto,
) -> NDArray[np.float32]:
    """Weights in float32; quantizing them again gives the same integers."""
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
    shape = [1] * source.ndim
    if scale.ndim:
        shape[axis] = len(scale)
    centred = source.astype(np.float32) - zero.astype(np.float32).reshape(
        shape if zero.ndim else ()
    )
    return (centred * scale.reshape(shape if scale.ndim else ())).astype(np.float32)
