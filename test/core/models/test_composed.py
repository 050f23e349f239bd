"""Networks made of others: what the flag reaches, and what training leaves alone."""

import pytest
import torch

from kp3d_core.models import ForeignOrientation, WithoutFlag, create_model


@pytest.fixture
def image():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["fast", "paper"])
def test_without_flag_says_the_same_for_both_orientations(name, image):
    torch.manual_seed(0)
    plain = create_model(name, 4).eval()
    told = [plain.decode(plain.encode(image), torch.full((2,), flag)) for flag in (0.0, 1.0)]
    assert not torch.equal(told[0].heatmap_logits, told[1].heatmap_logits)
    model = WithoutFlag(plain)
    untold = [model.decode(model.encode(image), torch.full((2,), flag)) for flag in (0.0, 1.0)]
    assert torch.equal(untold[0].heatmap_logits, untold[1].heatmap_logits)
    assert torch.equal(untold[0].depth_maps, untold[1].depth_maps)


@pytest.mark.parametrize("name", ["fast", "paper"])
def test_foreign_orientation_decides_and_stays_as_it_is(name, image):
    torch.manual_seed(0)
    own, foreign = create_model(name, 4), create_model(name, 3)
    before = {key: value.clone() for key, value in foreign.state_dict().items()}
    model = ForeignOrientation(own, foreign).train()
    encoding = model.encode(image)
    assert torch.equal(encoding.orientation_logits, foreign.encode(image).orientation_logits)
    maps = model.decode(encoding, torch.ones(2))
    assert maps.heatmap_logits.shape[1] == 4
    (maps.heatmap_logits.sum() + maps.depth_maps.sum() + encoding.log_scale.sum()).backward()
    assert all(parameter.grad is None for parameter in foreign.parameters())
    assert any(parameter.grad is not None for parameter in own.parameters())
    # Running means and variances of batch normalisation are part of the state.
    assert all(torch.equal(value, before[key]) for key, value in foreign.state_dict().items())
