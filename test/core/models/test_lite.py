"""The network with a trunk that has seen photographs."""

import pytest
import torch

from kp3d_core.data.augmentation import random_backgrounds
from kp3d_core.data.draws import BatchDraws
from kp3d_core.models import create_model
from kp3d_core.models.efficientnet import EfficientNetTrunk
from kp3d_core.training.networks import load_imagenet


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    model = create_model("lite", 5).eval()
    load_imagenet(model)
    return model


def test_shapes(trained):
    encoding = trained.encode(torch.rand(2, 3, 64, 96))
    assert encoding.orientation_logits.shape == (2, 6, 8, 12)
    assert encoding.log_scale.shape == (2,)
    maps = trained.decode(encoding, torch.tensor([0.0, 1.0]))
    assert maps.heatmap_logits.shape == maps.depth_maps.shape == (2, 5, 16, 24)


def test_trunk_has_the_published_shape():
    trunk = EfficientNetTrunk()
    assert len(trunk.blocks) == 11
    # Lite0 has 4,652,008 parameters; the last five blocks, head and classifier are left out.
    assert sum(p.numel() for p in trunk.parameters()) == 700_768
    fine, middle, coarse = trunk.eval()(torch.rand(1, 3, 64, 64))
    assert (fine.shape[1:], middle.shape[1:], coarse.shape[1:]) == (
        (24, 16, 16), (40, 8, 8), (112, 4, 4),
    )  # fmt: skip


def test_imagenet_weights_stand_in_the_layers_they_were_trained_in(trained):
    # Their running variances were measured on photographs; features of images of other kinds have
    # about the same spread only where every layer before has its own weights.
    images = random_backgrounds(64, 64, BatchDraws(0, 32))
    ratios = []

    def compare(norm, inputs, output):
        ratios.append((inputs[0].var((0, 2, 3)) / norm.running_var).median().item())

    handles = [block.layers[0][1].register_forward_hook(compare) for block in trained.trunk.blocks]
    with torch.no_grad():
        trained.trunk(images)
    for handle in handles:
        handle.remove()
    # Channels of the stem that never respond have no variance at all, there and here.
    assert ratios[1:] == [pytest.approx(1, abs=0.7)] * 10
    random = EfficientNetTrunk().eval()
    assert not torch.equal(random.stem[0].weight, trained.trunk.stem[0].weight)


def test_folding_keeps_the_function(trained):
    image = torch.rand(2, 3, 64, 64)
    folded = trained.fold_batch_norm()
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    before, after = trained.encode(image), folded.encode(image)
    assert torch.allclose(before.orientation_logits, after.orientation_logits, atol=1e-4)
    flag = torch.ones(2)
    a, b = trained.decode(before, flag), folded.decode(after, flag)
    assert torch.allclose(a.heatmap_logits, b.heatmap_logits, atol=1e-4)
    again = create_model("lite", 5, folded=True)
    again.load_state_dict(folded.state_dict())


def test_a_network_without_such_a_trunk_is_refused():
    with pytest.raises(ValueError, match="initial_weights=imagenet needs the network `lite`, got"):
        load_imagenet(create_model("fast", 5))
