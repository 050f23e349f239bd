"""Spatial softmax and moments against hand-computed cases."""

import pytest
import torch

from kp3d_core.models.heatmaps import heatmap_moments, mass_within, ndc_grid, spatial_softmax


def test_pixel_centres_in_ndc():
    u, v = ndc_grid(torch.zeros(128, 128, dtype=torch.float64))
    expected = {0: -0.9921875, 63: -0.0078125, 64: 0.0078125, 100: 0.5703125, 127: 0.9921875}
    for pixel, ndc in expected.items():
        assert u[5, pixel] == ndc
        assert v[pixel, 5] == ndc


def test_uniform_heatmap():
    logits = torch.zeros(1, 1, 128, 128, dtype=torch.float64)
    moments = heatmap_moments(logits, logits + 2.5)
    assert torch.allclose(moments.uv, torch.zeros(1, 1, 2, dtype=torch.float64), atol=1e-12)
    variance = moments.covariance[..., 0, 0] + moments.covariance[..., 1, 1]
    assert variance.item() == pytest.approx(0.6666259765625, abs=1e-12)
    assert moments.depth.item() == pytest.approx(2.5)  # a constant depth map gives that depth


def test_two_equal_peaks():
    logits = torch.full((1, 1, 4, 4), -1e4)
    logits[0, 0, 1, 0] = logits[0, 0, 1, 3] = 50.0  # u = -0.75 and +0.75 on a map of 4 cells
    moments = heatmap_moments(logits, torch.zeros_like(logits))
    assert moments.uv[0, 0, 0].item() == pytest.approx(0, abs=1e-6)
    assert moments.covariance[0, 0, 0, 0].item() == pytest.approx(0.75**2, abs=1e-6)


def test_one_hot_has_no_variance():
    logits = torch.full((1, 1, 16, 16), -1e4)
    logits[0, 0, 3, 9] = 0
    moments = heatmap_moments(logits, torch.zeros_like(logits))
    assert moments.covariance.abs().max() < 1e-6  # float32 second moment minus squared mean


@pytest.mark.parametrize("shift", [1e4, -1e4])
def test_softmax_ignores_a_shift_and_stays_finite(shift):
    logits = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert torch.allclose(spatial_softmax(logits + shift), spatial_softmax(logits), atol=1e-10)
    extreme = torch.tensor([[1e4, -1e4], [-1e4, 1e4]])
    assert spatial_softmax(extreme).isfinite().all()


def test_covariance_against_the_definition():
    torch.manual_seed(0)
    logits, depth = torch.randn(2, 3, 6, 5, 7, dtype=torch.float64)[:, None].unbind(0)
    logits, depth = logits[0], depth[0]
    moments = heatmap_moments(logits, depth)
    u, v = ndc_grid(logits)
    values = torch.stack([u.expand_as(depth), v.expand_as(depth), depth], -1).flatten(-3, -2)
    weights = moments.heatmap.flatten(-2)
    for index in torch.cartesian_prod(torch.arange(3), torch.arange(6)):
        i, j = index.tolist()
        expected = torch.cov(values[i, j].T, aweights=weights[i, j], correction=0)
        assert torch.allclose(moments.covariance[i, j], expected, atol=1e-12)


def test_mass_within_a_radius():
    heatmap = torch.zeros(1, 1, 8, 8)
    heatmap[0, 0, 4, 4], heatmap[0, 0, 0, 0] = 0.7, 0.3
    u = (2 * 4 + 1) / 8 - 1
    assert mass_within(heatmap, torch.tensor([[[u, u]]]), 0.2).item() == pytest.approx(0.7)
