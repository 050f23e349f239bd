"""A float32 graph with its convolutions in float16, and all that decides accuracy in float32.

Needs the `onnx` package, as nothing else that runs on a robot does.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_STARTS = ("Conv",)
"""What float16 is for: nearly all of the arithmetic."""
_FOLLOWS = ("Add", "Clip", "Concat", "LeakyRelu", "MaxPool", "Mul", "Relu", "Resize", "Slice",
            "Split", "Sub")  # fmt: skip
"""What stays in float16 where its input is. Everything else, first of all softmax and moments,
means and fully connected layers, gets float32."""
_LARGEST = float(np.finfo(np.float16).max)


def half_graph(data: bytes) -> bytes:
    """ONNX file with inputs, outputs, names and metadata of the given one."""
    model = onnx.load_from_string(data)
    converter = _Converter(onnx.shape_inference.infer_shapes(model).graph)
    nodes = [new for node in model.graph.node for new in converter.convert(node)]
    converter.check_outputs()
    used = {name for node in nodes for name in node.input}
    initializers = [*model.graph.initializer, *converter.constants.values()]
    return with_graph(model, nodes, [c for c in initializers if c.name in used])


def with_graph(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], initializers: list[TensorProto]
) -> bytes:
    """ONNX file of a model with other nodes and constants, checked."""
    for field, content in (
        (model.graph.node, nodes),
        (model.graph.initializer, initializers),
        (model.graph.value_info, []),  # of the old types
    ):
        del field[:]
        field.extend(content)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


class _Converter:
    """Rewrites nodes in their order; knows what each tensor has become."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        """`graph` has the types of its tensors."""
        values = [*graph.input, *graph.value_info, *graph.output]
        self._float = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
        self._weights = {c.name: c for c in graph.initializer if c.data_type == TensorProto.FLOAT}
        self._half: set[str] = set()
        self._casts: dict[tuple[str, int], str] = {}
        self._outputs = {v.name for v in graph.output}
        self.constants: dict[str, TensorProto] = {}

    def convert(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """The node with inputs in its precision, after the casts that it needs."""
        half = node.op_type in _STARTS or (
            node.op_type in _FOLLOWS and any(name in self._half for name in node.input)
        )
        for index, name in enumerate(node.input):
            if node.op_type == "Resize" and index > 0:
                continue  # scales are float32 whatever is resized
            if half and name in self._weights:
                node.input[index] = self._half_constant(name)
            elif half and name in self._float and name not in self._half:
                yield from self._cast(node, index, TensorProto.FLOAT16)
            elif not half and name in self._half:
                yield from self._cast(node, index, TensorProto.FLOAT)
        if half:
            self._half.update(name for name in node.output if name in self._float)
        yield node

    def check_outputs(self) -> None:
        """Refuse a graph whose outputs would not be float32."""
        wrong = self._half & self._outputs
        if wrong:
            raise ValueError(
                f"Outputs must be decoded from heatmaps, got {', '.join(sorted(wrong))} straight "
                "from a convolution. Use a file that `kp3d package` wrote."
            )

    def _half_constant(self, name: str) -> str:
        new = f"{name}_fp16"
        if new not in self.constants:
            values = numpy_helper.to_array(self._weights[name])
            small = np.clip(values, -_LARGEST, _LARGEST).astype(np.float16)
            self.constants[new] = numpy_helper.from_array(small, new)
        return new

    def _cast(self, node: onnx.NodeProto, index: int, to: int) -> Iterator[onnx.NodeProto]:
        """Let an input come from a cast, which all readers of the tensor share."""
        name = node.input[index]
        if (name, to) not in self._casts:
            new = f"{name}_{'fp16' if to == TensorProto.FLOAT16 else 'fp32'}"
            self._casts[name, to] = new
            yield helper.make_node("Cast", [name], [new], name=f"cast_{new}", to=to)
        node.input[index] = self._casts[name, to]
