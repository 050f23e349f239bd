"""Weights in whole steps of a 64th of their channel's largest."""

import torch
from torch import nn

from kp3d_core.models.rounding import MAX_STEPS, round_weights, rounded, rounded_weights


def test_by_hand():
    weight = torch.tensor([[-1.0, 0.26, 0.0], [6.4, -0.16, 0.14]])
    expected = torch.tensor([[-64, 17, 0], [64, -2, 1]]) * torch.tensor([[1 / 64], [0.1]])
    torch.testing.assert_close(rounded(weight), expected)
    assert not rounded(torch.zeros(2, 3)).any()


def test_error_is_at_most_half_a_step_whatever_the_scale():
    torch.manual_seed(0)
    weight = torch.randn(5, 30, 3, 3) * torch.tensor([1e-3, 0.1, 1, 10, 1e3]).view(-1, 1, 1, 1)
    largest = weight.abs().flatten(1).amax(1)
    error = (rounded(weight) - weight).abs().flatten(1).amax(1)
    assert (error <= 0.5001 * largest / MAX_STEPS).all()
    assert torch.equal(rounded(weight).abs().flatten(1).amax(1), largest)
    assert 2 * 255 * MAX_STEPS < 2**15


def test_gradients_at_rounded_weights_reach_exact_ones():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(40, 50), nn.Linear(50, 3))
    exact = [layer.weight.clone() for layer in network]
    inputs = torch.randn(7, 40)
    with rounded_weights(network):
        assert torch.equal(network[0].weight, rounded(exact[0]))
        assert not torch.equal(network[0].weight, exact[0])
        network(inputs).sum().backward()
    assert all(torch.equal(layer.weight, e) for layer, e in zip(network, exact, strict=True))
    # By the chain rule, at the rounded weights.
    hidden = inputs @ rounded(exact[0]).T + network[0].bias
    torch.testing.assert_close(network[1].weight.grad, hidden.sum(0).expand(3, -1))


def test_for_good():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    weight = network[0].weight.detach().clone()
    round_weights(network)
    assert torch.equal(network[0].weight, rounded(weight))
    assert (network[1].weight == 1).all()
