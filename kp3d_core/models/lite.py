"""`fast` behind a trunk that has seen photographs: EfficientNet-Lite0."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kp3d_core.models.efficientnet import TAPS, EfficientNetTrunk
from kp3d_core.models.fast import FastModel


class LiteModel(FastModel):
    """The heads and the decoder of `fast` behind the features of EfficientNet-Lite0.

    1x1 convolutions bring the trunk's channels to those that the decoder expects. `width` scales
    the decoder only.
    """

    def _add_trunk(self, channels: tuple[int, int, int, int], folded: bool) -> None:
        """Create trunk and lateral convolutions."""
        self.trunk = EfficientNetTrunk(folded=folded)
        self.lateral = nn.ModuleList(
            nn.Conv2d(theirs, ours, 1)
            for theirs, ours in zip(TAPS.values(), channels[1:], strict=True)
        )

    def _trunk(self, image: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, Tensor, Tensor]:
        """Features at 1/4, 1/8 and 1/16 resolution."""
        features4, features8, features16 = (
            torch.relu(lateral(features))
            for lateral, features in zip(self.lateral, self.trunk(image), strict=True)
        )
        return features4, features8, features16
