"""Our network without its batch normalisation: the same function."""

import pytest
import torch
from torch import nn

from kp3d_core.models import InBfloat16, create_model


@pytest.fixture
def network():
    """With statistics and gains that differ from those of a new one."""
    torch.manual_seed(0)
    network = create_model("fast", 4)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()


def _outputs(network, image):
    with torch.no_grad():
        encoding = network.encode(image)
        maps = network.decode(encoding, torch.tensor([0.0, 1.0]))
    return (encoding.orientation_logits, encoding.log_scale, *maps)


def test_folded_batch_normalisation_is_the_same_function(network):
    folded = network.fold_batch_norm()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert not folded.training
    image = torch.rand(2, 3, 64, 64)
    for got, expected in zip(_outputs(folded, image), _outputs(network, image), strict=True):
        # float32, summed in another order
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * float(expected.std()))
    again = create_model("fast", 4, folded=True)
    again.load_state_dict(folded.state_dict())  # what a checkpoint of it needs


def test_not_every_network_can_be_folded():
    with pytest.raises(ValueError, match="folded is for the networks .*'lite'. only, got 'paper'"):
        create_model("paper", folded=True)


def test_a_network_in_bfloat16_gives_float32(network):
    image = torch.rand(2, 3, 64, 64)
    exact = _outputs(network, image)
    rough = _outputs(InBfloat16(network), image)
    assert all(value.dtype == torch.float32 for value in rough)
    assert not torch.equal(rough[0], exact[0])
    for got, expected in zip(_outputs(InBfloat16(network, False), image), exact, strict=True):
        assert torch.equal(got, expected)
