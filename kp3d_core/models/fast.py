"""Our network: one shared trunk at low resolution, an order of magnitude less arithmetic.

A U-Net of dense 3x3 convolutions: two strided convolutions bring the image to 1/4 resolution, the
encoder goes on to 1/16. The orientation stage reads 1/8 resolution; the keypoint stage gets the
flag as a channel at each level of the way back up to 1/4, where heatmaps and depths are predicted.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kp3d_core.models.interface import Encoding, KeypointModel, KeypointPrediction


def _norm(channels: int, folded: bool) -> nn.Module:
    """Batch normalisation, or nothing where the convolution before it does its work."""
    return nn.Identity() if folded else nn.BatchNorm2d(channels)


class ConvBlock(nn.Sequential):
    """3x3 convolution, batch normalisation, ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, *, folded: bool = False
    ) -> None:
        """Zero padding keeps the size at stride 1 and halves it at stride 2."""
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=folded),
            _norm(out_channels, folded),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a skip connection (He et al. 2016)."""

    def __init__(self, channels: int, *, folded: bool = False) -> None:
        """Same number of channels in and out."""
        super().__init__()
        self.first = ConvBlock(channels, channels, folded=folded)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=folded)
        self.norm = _norm(channels, folded)

    def forward(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Add the residual, then ReLU."""
        return F.relu(features + self.norm(self.second(self.first(features))))


def _join(coarse: Tensor, fine: Tensor, *extra: Tensor) -> Tensor:
    """Upsample `coarse` to twice its size and stack all along the channels."""
    return torch.cat([F.interpolate(coarse, scale_factor=2.0, mode="nearest"), fine, *extra], dim=1)


def _flag_channel(flag: Float[Tensor, " B"], like: Float[Tensor, "B C H W"]) -> Tensor:
    """The flag as a map of -1 or +1."""
    signed = (2 * flag - 1).to(like.dtype)[:, None, None, None]
    return signed.expand(-1, 1, *like.shape[-2:])


class FastModel(KeypointModel):
    """Shared trunk, orientation head, scale head and flag-conditioned keypoint decoder.

    The orientation head predicts all six axis tips of the object instead of the paper's two: the
    camera of each training view tells where they are, and the trunk learns the full pose from them.
    """

    orientation_points = (
        (1.0, 0.0, 0.0),
        (-1.0, 0.0, 0.0),
        (0.0, 1.0, 0.0),
        (0.0, -1.0, 0.0),
        (0.0, 0.0, 1.0),
        (0.0, 0.0, -1.0),
    )
    heatmap_stride = 4
    orientation_limit_px = 4.0  # half a cell at 1/8 resolution

    channels = (24, 40, 64, 96)  # at 1/2, 1/4, 1/8 and 1/16 of the input resolution

    def __init__(
        self, num_keypoints: int = 10, width: float = 1.0, *, folded: bool = False
    ) -> None:
        """Create the network.

        Args:
            num_keypoints: N.
            width: scales the number of channels of every level, to multiples of 8.
            folded: without batch normalisation, see `fold_batch_norm`.
        """
        super().__init__(num_keypoints)
        self.width = width
        c2, c4, c8, c16 = (max(8, 8 * round(width * c / 8)) for c in self.channels)
        Conv = partial(ConvBlock, folded=folded)
        Residual = partial(ResidualBlock, folded=folded)
        self._add_trunk((c2, c4, c8, c16), folded)
        self.orientation_stage = nn.Sequential(Conv(c16 + c8, c8), Conv(c8, c8))
        self.orientation_head = nn.Conv2d(c8, len(self.orientation_points), 3, padding=1)
        self.scale_head = nn.Sequential(nn.Linear(c16, 64), nn.ReLU(inplace=True), nn.Linear(64, 1))
        self.up16 = nn.Sequential(Conv(c16 + 1, c16), Residual(c16))
        self.up8 = nn.Sequential(Conv(c16 + c8 + 1, c8), Residual(c8))
        self.up4 = nn.Sequential(Conv(c8 + c4 + 1, c4), Residual(c4))
        self.keypoint_head = nn.Conv2d(c4, 2 * num_keypoints, 3, padding=1)

    def _add_trunk(self, channels: tuple[int, int, int, int], folded: bool) -> None:
        """Create what `_trunk` uses; channels at 1/2, 1/4, 1/8 and 1/16 resolution."""
        Conv = partial(ConvBlock, folded=folded)
        Residual = partial(ResidualBlock, folded=folded)
        c2, c4, c8, c16 = channels
        self.stem = nn.Sequential(Conv(3, c2, 2), Conv(c2, c4, 2), Residual(c4))
        self.down8 = nn.Sequential(Conv(c4, c8, 2), Residual(c8), Residual(c8))
        self.down16 = nn.Sequential(Conv(c8, c16, 2), Residual(c16), Residual(c16))

    def _trunk(self, image: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, Tensor, Tensor]:
        """Features at 1/4, 1/8 and 1/16 resolution."""
        features4 = self.stem(image)
        features8 = self.down8(features4)
        return features4, features8, self.down16(features8)

    def fold_batch_norm(self) -> FastModel:
        """The same function without batch normalisation: convolutions scale and shift themselves.

        That is the form in which a model file holds the network. Trained on, it sees no statistics
        of its batches, and does the same then and later.
        """
        plain = type(self)(self.num_keypoints, self.width, folded=True)
        plain.load_state_dict(_folded(self))
        return plain.train(self.training)

    def encode(self, image: Float[Tensor, "B 3 H W"]) -> Encoding:
        """Trunk, orientation and scale; H and W must be multiples of 16."""
        features4, features8, features16 = self._trunk(image)
        orientation = self.orientation_head(self.orientation_stage(_join(features16, features8)))
        summary = features16.mean((-2, -1))
        log_scale = self.scale_head(summary)[:, 0]
        return Encoding((features4, features8, features16), orientation, log_scale, summary)

    def decode(self, encoding: Encoding, flag: Float[Tensor, " B"]) -> KeypointPrediction:
        """Way back up to 1/4 resolution."""
        features4, features8, features16 = encoding.features
        x = self.up16(torch.cat([features16, _flag_channel(flag, features16)], dim=1))
        x = self.up8(_join(x, features8, _flag_channel(flag, features8)))
        x = self.up4(_join(x, features4, _flag_channel(flag, features4)))
        logits, depth = self.keypoint_head(x).chunk(2, dim=1)
        return KeypointPrediction(logits, depth)


def _folded(model: nn.Module) -> dict[str, Tensor]:
    """Weights and biases with those of the batch normalisation behind each convolution in them."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    convolution = ""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            convolution = name
        elif isinstance(module, nn.BatchNorm2d):
            for key in module.state_dict():
                del state[f"{name}.{key}"]
            assert module.running_mean is not None
            assert module.running_var is not None
            gain = module.weight / (module.running_var + module.eps).sqrt()
            state[f"{convolution}.weight"] *= gain.detach()[:, None, None, None]
            state[f"{convolution}.bias"] = (module.bias - gain * module.running_mean).detach()
    return state
