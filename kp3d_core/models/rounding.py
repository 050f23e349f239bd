"""Weights in coarse steps: what a small model file costs, taught to the network while it trains.

A weight in a file takes a byte, and half of one compressed, if it is a small whole number of steps.
The step of an output channel is a share of the standard deviation of its weights, so that what
rounding adds is the same share of noise in every channel, whatever its scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn

WEIGHT_STEP = 0.33
"""Step in standard deviations: noise of a tenth of a deviation, some 3.7 bits of information."""
MIN_WEIGHTS = 1000
"""Layers with fewer are left as they are: nothing is gained there."""
MAX_STEPS = 63
"""Largest whole number: sums of two products with bytes of an activation then fit 16 bits, in which
x86 processors without VNNI add them up."""


def in_steps(
    weight: Float[Tensor, "C ..."], step: float
) -> tuple[Int8[Tensor, "C ..."], Float[Tensor, " C"]]:
    """Whole numbers of steps nearest to the weights, and the step of each output channel.

    Args:
        weight: of a convolution or fully connected layer, output channels first.
        step: in standard deviations of a channel's weights.
    """
    steps = (step * weight.flatten(1).std(1)).clamp_min(1e-8)
    by_channel = steps.view(-1, *[1] * (weight.ndim - 1))
    numbers = (weight / by_channel).round().clamp(-MAX_STEPS, MAX_STEPS)
    return numbers.to(torch.int8), steps


def rounded(weight: Float[Tensor, "C ..."], step: float) -> Float[Tensor, "C ..."]:
    """The weights in whole steps."""
    numbers, steps = in_steps(weight, step)
    return numbers * steps.view(-1, *[1] * (weight.ndim - 1))


@contextmanager
def rounded_weights(module: nn.Module, step: float) -> Iterator[None]:
    """Let a module's layers have rounded weights for a while; 0 leaves them as they are.

    Gradients that are computed meanwhile belong to the rounded weights and are applied to the exact
    ones: the straight-through estimator (Bengio et al. 2013, arXiv:1308.3432).
    """
    exact = {}
    if step > 0:
        exact = {layer: layer.weight.data for layer in rounded_layers(module)}
    try:
        for layer, weight in exact.items():
            layer.weight.data = rounded(weight, step)
        yield
    finally:
        for layer, weight in exact.items():
            layer.weight.data = weight


def rounded_layers(module: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """Layers with so many weights that they are rounded."""
    return [
        layer
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.numel() >= MIN_WEIGHTS
    ]
