"""The paper's networks: sizes as trained by the authors, and the common interface."""

import pytest
import torch

from kp3d_core.models import MODELS, create_model
from kp3d_core.models.paper import PaperKeypointNetwork, PaperOrientationNetwork


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts_are_those_of_the_released_networks():
    assert count(PaperKeypointNetwork(10)) == 420_116
    assert count(PaperOrientationNetwork()) == 103_202


@pytest.mark.parametrize("name", sorted(MODELS))
def test_shapes_of_both_stages(name):
    model = create_model(name, num_keypoints=7).eval()
    encoding = model.encode(torch.rand(2, 3, 64, 64))
    maps = model.decode(encoding, torch.tensor([0.0, 1.0]))
    side = 64 if name == "paper" else 16
    assert maps.heatmap_logits.shape == (2, 7, side, side)
    assert maps.depth_maps.shape == (2, 7, side, side)
    assert encoding.orientation_logits.shape[:2] == (2, len(model.orientation_points))
    assert encoding.log_scale.shape == (2,)
    assert model.orientation_points[:2] == ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_flag_reaches_the_keypoints(name):
    torch.manual_seed(0)
    model = create_model(name).eval()
    encoding = model.encode(torch.rand(1, 3, 64, 64))
    left = model.decode(encoding, torch.zeros(1)).heatmap_logits
    right = model.decode(encoding, torch.ones(1)).heatmap_logits
    assert (left - right).abs().max() > 1e-4


def test_paper_network_is_translation_equivariant_inside():
    # Dilations 1..16 twice give a receptive field of 131 px: only without its zero padding could
    # an image of 128 px be shifted exactly. A small network shows the property far from borders.
    torch.manual_seed(0)
    network = PaperOrientationNetwork().eval()
    image = torch.zeros(1, 3, 192, 192)
    image[..., 90:102, 90:102] = torch.rand(3, 12, 12)
    shifted = image.roll((0, 3), (-2, -1))
    with torch.no_grad():
        a, b = network(image), network(shifted)
    inside = slice(80, 112)
    assert torch.allclose(a[..., inside, 80:112], b[..., inside, 83:115], atol=1e-5)


def test_fast_needs_an_order_of_magnitude_less_arithmetic():
    from torch.utils.flop_counter import FlopCounterMode

    def flops(name, size):
        model = create_model(name).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.decode(model.encode(torch.rand(1, 3, size, size)), torch.ones(1))
        return counter.get_total_flops()

    assert flops("fast", 128) * 10 < flops("paper", 128)


def test_unknown_network_and_too_few_keypoints_are_named():
    with pytest.raises(ValueError, match=r"one of \['fast', 'lite', 'paper'\], got 'huge'"):
        create_model("huge")
    with pytest.raises(ValueError, match="at least 3, got 2"):
        create_model("fast", 2)


def test_width_scales_the_channels():
    # A convolution between levels has channels in x channels out weights: 4 times at width 2.
    narrow, wide = create_model("fast").down8[1].first[0], create_model("fast", width=2.0).down8[1]
    assert wide.first[0].weight.shape[0] == 2 * narrow.weight.shape[0]
    assert create_model("paper", width=0.5).keypoint_network.heatmap_head.in_channels == 32
    with pytest.raises(ValueError, match="width must be positive, got 0"):
        create_model("fast", width=0.0)
