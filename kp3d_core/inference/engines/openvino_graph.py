"""A quantized graph in the form that OpenVINO is fastest with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

_MAX_WEIGHT = 64
"""2 * 64 * 255 fits 16 bits."""


def centre_leaky_activations(model: openvino.Model) -> int:
    """Let the activations of a network of leaky ReLUs be int8 around zero, in place.

    Files have them as uint8 with a zero point, for they have few negative values and ONNX Runtime
    takes any zero point alike. OpenVINO subtracts it in float32 before each leaky ReLU, and in
    convolutions corrects every border for it: both together take two thirds of the time of the
    paper's networks. Around zero, steps are up to twice as large. Networks of plain ReLUs have too
    few such activations to gain anything; they stay as they are.

    Returns:
        How many activations were changed.
    """
    nodes = model.get_ordered_ops()
    if not any(node.get_type_name() == "PRelu" for node in nodes):
        return 0
    changed = 0
    for node in nodes:
        if node.get_type_name() != "FakeQuantize":
            continue
        low, high = (float(node.input_value(i).get_node().get_data().flat[0]) for i in (1, 2))
        if low >= 0:
            continue
        step = max(-low, high) / 127
        ends = [ops.constant(np.float32(k * step)) for k in (-128, 127, -128, 127)]
        centred = ops.fake_quantize(node.input_value(0), *ends, 256)
        for real in _dequantized(node):
            real.output(0).replace(centred.output(0))
        changed += 1
    model.validate_nodes_and_infer_types()
    return changed


def spare_overflowing_sums(model: openvino.Model) -> int:
    """Let layers whose sums of bytes a processor without VNNI cannot hold be float32, in place.

    Such x86 processors multiply bytes by AVX2's vpmaddubsw, which saturates sums of two products at
    16 bits (https://docs.openvino.ai/latest/pot_saturation_issue.html). With weights up to 64 none
    overflows, and such are those of `kp3d package`: only in the first layer of the shipped models,
    which had steps of another kind, is anything changed.

    Returns:
        How many layers were changed.
    """
    changed = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Constant" or node.get_element_type() != openvino.Type.i8:
            continue
        weights = node.get_data()
        if weights.ndim < 2 or np.abs(weights.astype(np.int16)).max() <= _MAX_WEIGHT:
            continue
        for converted in _followed(node, ("Convert",)):
            # What is no longer converted from bytes is folded with scale and zero point.
            converted.output(0).replace(ops.constant(weights.astype(np.float32)).output(0))
        changed += 1
    model.validate_nodes_and_infer_types()
    return changed


def _dequantized(quantizer: Any) -> Iterator[Any]:
    """Nodes that give what a quantizer rounds as real numbers again.

    OpenVINO reads `QuantizeLinear` as FakeQuantize and Convert to bytes, `DequantizeLinear` as
    Convert to float32, Subtract and Multiply.
    """
    yield from _followed(quantizer, ("Convert", "Convert", "Subtract", "Multiply"))


def _followed(node: Any, kinds: tuple[str, ...]) -> Iterator[Any]:
    """Nodes at the end of chains of given kinds that begin behind a node."""
    chain = [node]
    for kind in kinds:
        chain = [
            reader.get_node()
            for node in chain
            for reader in node.output(0).get_target_inputs()
            if reader.get_node().get_type_name() == kind
        ]
    yield from chain
