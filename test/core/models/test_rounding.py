"""Weights in whole steps of a share of their channel's deviation."""

import torch
from torch import nn

from kp3d_core.models.rounding import (
    MAX_STEPS,
    fix_steps,
    in_steps,
    layers_in_steps,
    rounded,
    rounded_weights,
)


def _layer(weight):
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data = weight
    return layer


def test_steps_by_hand():
    weight = torch.tensor([[-1.0, 1.0], [10.0, -10.0]]).repeat(1, 300)
    layer = _layer(weight)
    fix_steps(layer, 0.5)
    deviation = (600 / 599) ** 0.5
    torch.testing.assert_close(layer.weight_steps, torch.tensor([0.5, 5.0]) * deviation)
    numbers = in_steps(weight, layer.weight_steps)
    assert numbers[:, :2].tolist() == [[-2, 2], [2, -2]]
    assert numbers.dtype == torch.int8


def test_error_is_at_most_half_a_step_whatever_the_scale():
    torch.manual_seed(0)
    layer = nn.Conv2d(30, 5, 3)
    layer.weight.data *= torch.tensor([1e-3, 0.1, 1, 10, 1e3]).view(-1, 1, 1, 1)
    fix_steps(layer, 0.33)
    error = (rounded(layer.weight, layer.weight_steps) - layer.weight).abs().flatten(1).amax(1)
    assert (error <= 0.5001 * layer.weight_steps).all()


def test_numbers_fit_sixteen_bit_sums_of_products():
    weight = torch.zeros(1, 10_000)
    weight[0, 0] = 1.0  # a hundred deviations
    layer = _layer(weight)
    fix_steps(layer, 0.33)
    assert in_steps(weight, layer.weight_steps).max() == MAX_STEPS
    assert 2 * 255 * MAX_STEPS < 2**15
    nothing = _layer(torch.zeros(2, 2000))
    fix_steps(nothing, 0.33)
    assert not in_steps(nothing.weight, nothing.weight_steps).any()


def test_steps_are_fixed_once_and_saved_with_the_weights():
    network = nn.Sequential(nn.Linear(40, 50), nn.Linear(50, 3))  # the second one is too small
    fix_steps(network, 0.33)
    before = network[0].weight_steps.clone()
    network[0].weight.data *= 2
    fix_steps(network, 0.33)
    assert torch.equal(network[0].weight_steps, before)
    assert list(layers_in_steps(network)) == ["0"]
    assert "0.weight_steps" in network.state_dict()
    assert "1.weight_steps" not in network.state_dict()


def test_gradients_at_rounded_weights_reach_exact_ones():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(40, 50), nn.Linear(50, 3))
    fix_steps(network, 0.5)
    steps = network[0].weight_steps
    exact = [layer.weight.clone() for layer in network]
    inputs = torch.randn(7, 40)
    with rounded_weights(network):
        assert torch.equal(network[0].weight, rounded(exact[0], steps))
        assert torch.equal(network[1].weight, exact[1])
        network(inputs).sum().backward()
    assert all(torch.equal(layer.weight, e) for layer, e in zip(network, exact, strict=True))
    # By the chain rule, at the rounded weights.
    hidden = inputs @ rounded(exact[0], steps).T + network[0].bias
    torch.testing.assert_close(network[1].weight.grad, hidden.sum(0).expand(3, -1))


def test_no_step_leaves_weights_as_they_are():
    layer = nn.Linear(40, 50)
    exact = layer.weight.clone()
    fix_steps(layer, 0.0)
    with rounded_weights(layer):
        assert torch.equal(layer.weight, exact)
