"""Weights in coarse steps: what a small model file costs, taught to the network while it trains.

A weight in a file takes a byte, and half of one compressed, if it is a small whole number of steps.
The step of an output channel is a share of the standard deviation of its weights, so that what
rounding adds is the same share of noise in every channel, whatever its scale. It is fixed when
training for it begins, and belongs to the network from then on.
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


def fix_steps(module: nn.Module, step: float) -> None:
    """Give a module's layers the steps of their output channels, by the weights as they are now.

    Args:
        module: whose layers get a buffer `weight_steps` (C,); those that have one keep it.
        step: in standard deviations of a channel's weights; 0 gives none.
    """
    if step <= 0:
        return
    for layer in module.modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear) or layer.weight.numel() < MIN_WEIGHTS:
            continue
        if not hasattr(layer, "weight_steps"):
            steps = step * layer.weight.detach().flatten(1).std(1)
            layer.register_buffer("weight_steps", steps.clamp_min(1e-8))


def layers_in_steps(module: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """The layers that have steps, by their names."""
    return {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and hasattr(layer, "weight_steps")
    }


def in_steps(weight: Float[Tensor, "C ..."], steps: Float[Tensor, " C"]) -> Int8[Tensor, "C ..."]:
    """Whole numbers of steps nearest to the weights.

    Args:
        weight: of a convolution or fully connected layer, output channels first.
        steps: of each output channel.
    """
    numbers = (weight / _by_channel(steps, weight)).round().clamp(-MAX_STEPS, MAX_STEPS)
    return numbers.to(torch.int8)


def rounded(weight: Float[Tensor, "C ..."], steps: Float[Tensor, " C"]) -> Float[Tensor, "C ..."]:
    """The weights in whole steps."""
    return in_steps(weight, steps) * _by_channel(steps, weight)


def _by_channel(steps: Tensor, weight: Tensor) -> Tensor:
    return steps.view(-1, *[1] * (weight.ndim - 1))


@contextmanager
def rounded_weights(module: nn.Module) -> Iterator[None]:
    """Let a module's layers that have steps have rounded weights for a while.

    Gradients that are computed meanwhile belong to the rounded weights and are applied to the exact
    ones: the straight-through estimator (Bengio et al. 2013, arXiv:1308.3432).
    """
    exact = {layer: layer.weight.data for layer in layers_in_steps(module).values()}
    try:
        for layer, weight in exact.items():
            layer.weight.data = rounded(weight, layer.weight_steps)  # type: ignore[arg-type]
        yield
    finally:
        for layer, weight in exact.items():
            layer.weight.data = weight
