"""The graph of a model file in int8, calibrated on rendered images."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from kp3d_core.inference.outputs import INPUT_NAME

_QUANTIZED = ("Add", "Clip", "Concat", "Conv", "LeakyRelu", "MaxPool", "Mul", "Relu", "Resize",
              "Slice")  # fmt: skip


def int8_graph(
    data: bytes, batches: Iterable[NDArray[np.uint8]], seven_bits: bool = False
) -> bytes:
    """The graph with Q/DQ nodes around everything up to the logits, which stay float32.

    Weights are symmetric int8 per channel, activations uint8: what CPUs are fastest with.

    Args:
        data: ONNX file in fp32.
        batches: images to take the ranges of activations from, (B, S, S, 3) each; the ranges of
            the batches are averaged.
        seven_bits: whether weights are those that `models.rounding` trains for; no sum of two
            products then overflows 16 bits on processors without VNNI.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet():
        # Adds what follows a convolution to its bias, before that would be quantized on its own.
        source, prepared = Path(folder) / "fp32.onnx", Path(folder) / "prepared.onnx"
        source.write_bytes(data)
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(prepared)
        nodes, heads = quantized_nodes(graph.graph)
        target = Path(folder) / "int8.onnx"
        quantize_static(
            graph,
            target,
            _Reader(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTIZED),
            nodes_to_quantize=nodes + heads,
            per_channel=True,
            reduce_range=seven_bits,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            # Ranges are averaged over batches, so that no single image decides them. Percentiles
            # would do the same, but hold all activations of all images in memory.
            extra_options={"CalibMovingAverage": True},
        )
        quantized = onnx.load(target)
    for head in heads:
        _leave_output_exact(quantized.graph, head)
    return bytes(quantized.SerializeToString())


def quantized_nodes(graph: onnx.GraphProto) -> tuple[list[str], list[str]]:
    """What is quantized: the nodes between the image and the logits.

    Nothing behind a softmax is, though the flag that it decides feeds convolutions.

    Returns:
        Names of the nodes before the last convolutions, and of those, which make the logits.
    """
    makers = {output: node for node in graph.node for output in node.output}
    logits = [node.input[0] for node in graph.node if node.op_type == "Softmax"]
    heads = [
        node
        for node in _upstream(logits, makers, lambda node: node.op_type != "Conv")
        if node.op_type == "Conv"
    ]
    inputs = [node.input[0] for node in heads]
    trunk = _upstream(inputs, makers, lambda node: node.op_type in _QUANTIZED)
    names = {node.name for node in heads}
    wanted = {node.name for node in trunk} - names
    inner = [n.name for n in graph.node if n.name in wanted and n.op_type in _QUANTIZED]
    return inner, [node.name for node in graph.node if node.name in names]


def _leave_output_exact(graph: onnx.GraphProto, name: str) -> None:
    """Take out what quantizes a node's output, in place."""
    (output,) = (node.output[0] for node in graph.node if node.name == name)
    quantizer = next(
        n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == output
    )
    real = next(n for n in graph.node if n.input and n.input[0] == quantizer.output[0])
    for node in graph.node:
        for index, source in enumerate(node.input):
            if source == real.output[0]:
                node.input[index] = output
    graph.node.remove(quantizer)
    graph.node.remove(real)


def _upstream(
    tensors: list[str],
    makers: dict[str, onnx.NodeProto],
    follow: Callable[[onnx.NodeProto], bool],
) -> list[onnx.NodeProto]:
    """Nodes that tensors depend on, as far as `follow` says; its last ones included."""
    found: dict[str, onnx.NodeProto] = {}
    while tensors:
        node = makers.get(tensors.pop())
        if node is None or node.name in found:
            continue
        found[node.name] = node
        if follow(node):
            tensors += node.input
    return list(found.values())


class _Reader(CalibrationDataReader):
    """Feeds batches to the calibration."""

    def __init__(self, batches: Iterable[NDArray[np.uint8]]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Next batch, or None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT_NAME: batch}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer prints its progress and logs through the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
