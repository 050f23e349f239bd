"""A graph with its packed weights as plain float32 constants, for those that want no others.

ONNX Runtime and OpenVINO unpack weights themselves. Needs the `onnx` package.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

UNPACK_SUFFIX = "_unpack"
"""Names of nodes that unpack weights, and are no part of quantized arithmetic, end so."""
_LAST_STEP = ("DequantizeLinear", "Mul")
"""What such nodes end with: their output has the name of the weights, their second input the steps
of each output channel."""
BASE_SUFFIX, CHANGE_SUFFIX, SUM_SUFFIX = "_quantized", "_change", "_now"
"""Names of whole numbers, of what they have changed by since an earlier file, and of the sum."""


class PackedWeight(NamedTuple):
    """Weights as whole numbers of steps."""

    base: NDArray[np.int8]
    change: NDArray[np.int8] | None
    """To be added to the base; None where there is none."""
    steps: NDArray[np.float32]
    """Of each output channel (C,)."""

    @property
    def numbers(self) -> NDArray[np.int8]:
        """Whole numbers of steps (C, ...)."""
        return self.base if self.change is None else self.base + self.change


def packed_weights(model: onnx.ModelProto) -> dict[str, PackedWeight]:
    """Packed weights by their names."""
    constants = {c.name: c for c in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type in _LAST_STEP and node.name.endswith(UNPACK_SUFFIX):
            name = node.output[0]
            change = constants.get(name + CHANGE_SUFFIX)
            found[name] = PackedWeight(
                numpy_helper.to_array(constants[name + BASE_SUFFIX]),
                None if change is None else numpy_helper.to_array(change),
                numpy_helper.to_array(constants[node.input[1]]).ravel(),
            )
    return found


def unpacked_graph(data: bytes) -> bytes:
    """ONNX file with plain weights."""
    model = onnx.load_from_string(data)
    unpack(model)
    return bytes(model.SerializeToString())


def unpack(model: onnx.ModelProto) -> None:
    """Replace packed weights in place by float32 constants of the same names.

    Of weights in quantized arithmetic, which stay whole numbers, base and change are added up.
    """
    values: dict[str, NDArray] = {}
    for name, weight in packed_weights(model).items():
        by_channel = weight.steps.reshape(-1, *[1] * (weight.base.ndim - 1))
        values[name] = (weight.numbers * by_channel).astype(np.float32)
    constants = {c.name: c for c in model.graph.initializer}
    for name, constant in constants.items():
        weight_name = name.removesuffix(CHANGE_SUFFIX)
        if weight_name != name:
            base = numpy_helper.to_array(constants[weight_name + BASE_SUFFIX])
            values[weight_name + SUM_SUFFIX] = base + numpy_helper.to_array(constant)
    nodes = [n for n in model.graph.node if not n.name.endswith(UNPACK_SUFFIX)]
    used = {name for node in nodes for name in node.input}
    kept = [c for c in model.graph.initializer if c.name in used]
    kept += [numpy_helper.from_array(v, name) for name, v in values.items() if name in used]
    for field, content in ((model.graph.node, nodes), (model.graph.initializer, kept)):
        del field[:]  # type: ignore[attr-defined]
        field.extend(content)  # type: ignore[attr-defined]
