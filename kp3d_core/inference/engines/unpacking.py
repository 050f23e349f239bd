"""A graph with its packed weights as plain float32 constants, for those that want no others.

ONNX Runtime and OpenVINO unpack weights themselves. Needs the `onnx` package.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

UNPACK_SUFFIX = "_unpack"
"""Names of nodes that unpack weights, and are no part of quantized arithmetic, end so."""


def packed_weights(
    model: onnx.ModelProto,
) -> dict[str, tuple[NDArray[np.int8], NDArray[np.float32]]]:
    """Whole numbers, and the step of each output channel, by the name of the weights."""
    constants = {c.name: c for c in model.graph.initializer}
    return {
        node.output[0]: (
            numpy_helper.to_array(constants[node.input[0]]),
            numpy_helper.to_array(constants[node.input[1]]),
        )
        for node in model.graph.node
        if node.name.endswith(UNPACK_SUFFIX)
    }


def unpacked_graph(data: bytes) -> bytes:
    """ONNX file with plain weights."""
    model = onnx.load_from_string(data)
    unpack(model)
    return bytes(model.SerializeToString())


def unpack(model: onnx.ModelProto) -> None:
    """Replace packed weights in place by float32 constants of the same names."""
    weights = packed_weights(model)
    nodes = [n for n in model.graph.node if not n.name.endswith(UNPACK_SUFFIX)]
    used = {name for node in nodes for name in node.input}
    constants = [c for c in model.graph.initializer if c.name in used]
    for name, (numbers, steps) in weights.items():
        values = numbers * steps.reshape(-1, *[1] * (numbers.ndim - 1))
        constants.append(numpy_helper.from_array(values.astype(np.float32), name))
    for field, content in ((model.graph.node, nodes), (model.graph.initializer, constants)):
        del field[:]  # type: ignore[attr-defined]
        field.extend(content)  # type: ignore[attr-defined]
