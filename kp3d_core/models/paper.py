"""The paper's two dilated networks, as its authors trained them.

Twelve 3x3 convolutions of stride 1 at dilations 1, 1, 2, 4, 8, 16, 1, 2, 4, 8, 16, 1, each followed
by batch normalisation with a shift but no scale and a leaky ReLU (slope 0.1); zero padding, Xavier
uniform weights. Parameters for N = 10: 420,116 (keypoints) and 103,202 (orientation).

Reference: Suwajanakorn et al. 2018, section 3.4; tensorflow/models, research/keypointnet, main.py.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kp3d_core.models.interface import Encoding, KeypointModel, KeypointPrediction

DILATIONS = (1, 1, 2, 4, 8, 16, 1, 2, 4, 8, 16, 1)


class ShiftBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with a learned shift and a fixed unit scale (TF slim's default)."""

    def __init__(self, channels: int) -> None:
        """Decay 0.999 and epsilon 1e-3, as slim's defaults that the authors relied on."""
        super().__init__(channels, eps=1e-3, momentum=1e-3, affine=False)
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, input: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Normalise and shift."""
        return super().forward(input) + self.shift[:, None, None]


def dilated_trunk(in_channels: int, channels: int) -> nn.Sequential:
    """The twelve convolutions that both networks share in form."""
    layers: list[nn.Module] = []
    for dilation in DILATIONS:
        conv = nn.Conv2d(in_channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        layers += [conv, ShiftBatchNorm2d(channels), nn.LeakyReLU(0.1, inplace=True)]
        in_channels = channels
    return nn.Sequential(*layers)


class PaperKeypointNetwork(nn.Module):
    """RGB and flag in, heatmap logits and depth maps out."""

    def __init__(self, num_keypoints: int, channels: int = 64) -> None:
        """Two separate heads; the paper has 64 channels."""
        super().__init__()
        self.trunk = dilated_trunk(4, channels)
        self.heatmap_head = nn.Conv2d(channels, num_keypoints, 3, padding=1)
        self.depth_head = nn.Conv2d(channels, num_keypoints, 3, padding=1)

    def forward(
        self, image: Float[Tensor, "B 3 H W"], flag: Float[Tensor, " B"]
    ) -> KeypointPrediction:
        """The flag is tiled as a fourth channel."""
        tiled = flag.to(image.dtype)[:, None, None, None].expand(-1, 1, *image.shape[-2:])
        features = self.trunk(torch.cat([image, tiled], dim=1))
        return KeypointPrediction(self.heatmap_head(features), self.depth_head(features))


class PaperOrientationNetwork(nn.Module):
    """RGB in, heatmap logits of the object's front and back out; half the width."""

    def __init__(self, channels: int = 32) -> None:
        """One head; the paper has 32 channels."""
        super().__init__()
        self.trunk = dilated_trunk(3, channels)
        self.head = nn.Conv2d(channels, 2, 3, padding=1)

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 2 H W"]:
        """Logits at the resolution of the image."""
        return self.head(self.trunk(image))


class PaperModel(KeypointModel):
    """Both networks behind the common interface. Knows one distance, so its scale is always 1."""

    orientation_points = ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0))
    heatmap_stride = 1
    orientation_limit_px = None  # the authors do not clip

    def __init__(self, num_keypoints: int = 10, width: float = 1.0) -> None:
        """Xavier uniform weights, zero biases; `width` scales the paper's 64 and 32 channels."""
        super().__init__(num_keypoints)
        self.keypoint_network = PaperKeypointNetwork(num_keypoints, max(1, round(64 * width)))
        self.orientation_network = PaperOrientationNetwork(max(1, round(32 * width)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def encode(self, image: Float[Tensor, "B 3 H W"]) -> Encoding:
        """Run the orientation network; the keypoint network gets the image itself."""
        logits = self.orientation_network(image)
        unknown = torch.zeros_like(logits[:, 0, 0, 0])
        return Encoding((image,), logits, log_scale=unknown, summary=logits[:, :0, 0, 0])

    def decode(self, encoding: Encoding, flag: Float[Tensor, " B"]) -> KeypointPrediction:
        """Run the keypoint network."""
        return self.keypoint_network(encoding.features[0], flag)
