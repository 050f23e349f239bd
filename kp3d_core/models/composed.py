"""Networks made of others: one that is told no orientation, one that is told a foreign one's."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.models.interface import Encoding, KeypointModel, KeypointPrediction


class WithoutFlag(KeypointModel):
    """A network whose keypoint stage is told the same whatever the orientation.

    Its orientation stage stays as it is, so that what reads networks finds one; it decides nothing.
    """

    def __init__(self, network: KeypointModel) -> None:
        """Wrap `network`."""
        super().__init__(network.num_keypoints)
        self.network = network
        self.orientation_points = network.orientation_points
        self.orientation_limit_px = network.orientation_limit_px
        self.heatmap_stride = network.heatmap_stride

    def encode(self, image: Float[Tensor, "B 3 H W"]) -> Encoding:
        """As the network."""
        return self.network.encode(image)

    def decode(self, encoding: Encoding, flag: Float[Tensor, " B"]) -> KeypointPrediction:
        """As the network for the value half-way between both flags."""
        return self.network.decode(encoding, torch.full_like(flag, 0.5))


class ForeignOrientation(KeypointModel):
    """Keypoints and size of one network, orientation of another that is trained and stays frozen.

    The orientation network keeps its weights and the statistics of its batch normalisation, also in
    training mode. Its keypoint stage is never run.
    """

    def __init__(self, network: KeypointModel, orientation: KeypointModel) -> None:
        """Wrap `network`, and freeze `orientation`."""
        super().__init__(network.num_keypoints)
        self.network = network
        self.orientation = orientation.requires_grad_(False).eval()
        self.orientation_points = orientation.orientation_points
        self.orientation_limit_px = orientation.orientation_limit_px
        self.heatmap_stride = network.heatmap_stride

    def train(self, mode: bool = True) -> ForeignOrientation:
        """Switch the keypoint network only."""
        super().train(mode)
        self.orientation.eval()
        return self

    def encode(self, image: Float[Tensor, "B 3 H W"]) -> Encoding:
        """Run the first stage of both networks."""
        own = self.network.encode(image)
        return own._replace(orientation_logits=self.orientation.encode(image).orientation_logits)

    def decode(self, encoding: Encoding, flag: Float[Tensor, " B"]) -> KeypointPrediction:
        """As the keypoint network."""
        return self.network.decode(encoding, flag)


class InBfloat16(KeypointModel):
    """A network that computes in bfloat16 and gives float32, for geometry to go on with."""

    def __init__(self, network: KeypointModel, enabled: bool = True) -> None:
        """Wrap `network`; not `enabled`, it computes as it is."""
        super().__init__(network.num_keypoints)
        self.network = network
        self.enabled = enabled
        self.orientation_points = network.orientation_points
        self.orientation_limit_px = network.orientation_limit_px
        self.heatmap_stride = network.heatmap_stride

    def encode(self, image: Float[Tensor, "B 3 H W"]) -> Encoding:
        """As the network."""
        with self._autocast(image):
            encoding = self.network.encode(image)
        return encoding._replace(
            orientation_logits=encoding.orientation_logits.float(),
            log_scale=encoding.log_scale.float(),
            summary=encoding.summary.float(),
        )

    def decode(self, encoding: Encoding, flag: Float[Tensor, " B"]) -> KeypointPrediction:
        """As the network."""
        with self._autocast(flag):
            maps = self.network.decode(encoding, flag)
        return KeypointPrediction(maps.heatmap_logits.float(), maps.depth_maps.float())

    def _autocast(self, like: Tensor) -> torch.autocast:
        return torch.autocast(like.device.type, torch.bfloat16, enabled=self.enabled)
