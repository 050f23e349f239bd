"""Weights in whole steps of a share of their channel's deviation."""

import torch
from torch import nn

from kp3d_core.models.rounding import MAX_STEPS, in_steps, rounded, rounded_weights


def test_steps_by_hand():
    weight = torch.tensor([[-1.0, 1.0, -1.0, 1.0], [10.0, -10.0, 10.0, -10.0]])
    numbers, steps = in_steps(weight, 0.5)
    deviation = (4 / 3) ** 0.5
    torch.testing.assert_close(steps, torch.tensor([0.5, 5.0]) * deviation)
    assert numbers.tolist() == [[-2, 2, -2, 2], [2, -2, 2, -2]]  # 1 / 0.58 and 10 / 5.8
    assert numbers.dtype == torch.int8


def test_error_is_at_most_half_a_step_whatever_the_scale():
    torch.manual_seed(0)
    weight = torch.randn(5, 8, 3, 3) * torch.tensor([1e-3, 0.1, 1, 10, 1e3]).view(-1, 1, 1, 1)
    _, steps = in_steps(weight, 0.33)
    error = (rounded(weight, 0.33) - weight).abs().flatten(1).amax(1)
    assert (error <= 0.5001 * steps).all()


def test_numbers_fit_sixteen_bit_sums_of_products():
    weight = torch.zeros(1, 10_000)
    weight[0, 0] = 1.0  # a hundred deviations
    numbers, _ = in_steps(weight, 0.33)
    assert numbers.max() == MAX_STEPS
    assert 2 * 255 * MAX_STEPS < 2**15
    numbers, _ = in_steps(torch.zeros(2, 2000), 0.33)
    assert not numbers.any()


def test_gradients_at_rounded_weights_reach_exact_ones():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(40, 50), nn.Linear(50, 3))  # the second one is too small
    exact = [layer.weight.clone() for layer in network]
    inputs = torch.randn(7, 40)
    with rounded_weights(network, 0.5):
        assert torch.equal(network[0].weight, rounded(exact[0], 0.5))
        assert torch.equal(network[1].weight, exact[1])
        network(inputs).sum().backward()
    assert all(torch.equal(layer.weight, e) for layer, e in zip(network, exact, strict=True))
    # By the chain rule, at the rounded weights.
    hidden = inputs @ rounded(exact[0], 0.5).T + network[0].bias
    torch.testing.assert_close(network[1].weight.grad, hidden.sum(0).expand(3, -1))


def test_no_step_leaves_weights_as_they_are():
    layer = nn.Linear(40, 50)
    with rounded_weights(layer, 0.0):
        assert not torch.equal(layer.weight, rounded(layer.weight, 0.5))
