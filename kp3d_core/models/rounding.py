"""Weights as they are in int8, while a network trains for that: quantization-aware training.

A weight is a whole number of steps, at most 64 of them, and the step of an output channel is a 64th
of its largest weight. That is what ONNX Runtime's quantizer finds for weights of seven bits, so
that a network of rounded weights is the same in float32 and in int8 but for its activations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

MAX_STEPS = 64
"""Largest whole number: sums of two products with bytes of an activation then fit 16 bits, in which
x86 processors without VNNI add them up."""


def rounded(weight: Float[Tensor, "C ..."]) -> Float[Tensor, "C ..."]:
    """The weights of a layer, output channels first, in whole steps."""
    step = weight.detach().abs().flatten(1).amax(1).clamp_min(1e-30) / MAX_STEPS
    step = step.view(-1, *[1] * (weight.ndim - 1))
    return (weight / step).round() * step


@torch.no_grad()
def round_weights(module: nn.Module) -> None:
    """Round the weights of a module's convolutions and fully connected layers, for good."""
    for layer in _layers(module):
        layer.weight.copy_(rounded(layer.weight))


@contextmanager
def rounded_weights(module: nn.Module) -> Iterator[None]:
    """Let a module's layers have rounded weights for a while.

    Gradients that are computed meanwhile belong to the rounded weights and are applied to the exact
    ones: the straight-through estimator (Bengio et al. 2013, arXiv:1308.3432).
    """
    exact = {layer: layer.weight.data for layer in _layers(module)}
    try:
        for layer, weight in exact.items():
            layer.weight.data = rounded(weight)
        yield
    finally:
        for layer, weight in exact.items():
            layer.weight.data = weight


def _layers(module: nn.Module) -> Iterator[nn.Conv2d | nn.Linear]:
    return (m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear))
