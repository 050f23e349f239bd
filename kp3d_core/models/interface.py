"""What every keypoint network gives: the orientation first, then keypoints for a decided one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn


class Encoding(NamedTuple):
    """What is known of an image before the orientation flag is decided."""

    features: tuple[Tensor, ...]
    """Input of the keypoint stage; private to the network."""
    orientation_logits: Float[Tensor, "B P H W"]
    """Heatmap logits of projected object points; the first two are (1, 0, 0) and (-1, 0, 0)."""
    log_scale: Float[Tensor, " B"]
    """Natural logarithm of the apparent size relative to the training camera."""
    summary: Float[Tensor, "B C"]
    """Pooled features of the image, for a refiner; C is 0 where there are none."""


class KeypointPrediction(NamedTuple):
    """Maps of the N keypoints."""

    heatmap_logits: Float[Tensor, "B N H W"]
    depth_maps: Float[Tensor, "B N H W"]
    """Depth minus the distance of the object's centre [model units], along +Z of the camera."""


class KeypointModel(nn.Module, ABC):
    """A pair of networks: `encode` sees the image, `decode` sees the orientation flag too.

    Two stages, because training chooses between the true and the predicted flag in between. The
    flag is 1 where the object's +x axis points to the right in the image (paper, section 3.4).
    """

    orientation_points: tuple[tuple[float, float, float], ...]
    """Object points whose projections the orientation stage predicts [model units]."""
    heatmap_stride: int
    """Input pixels per cell of a keypoint heatmap."""
    orientation_limit_px: float | None
    """Targets of the orientation points are clipped this far inside the image, to the centres of
    the outermost cells that a heatmap can reach [input px]; None leaves them as they are."""

    def __init__(self, num_keypoints: int) -> None:
        """Store N."""
        super().__init__()
        self.num_keypoints = num_keypoints

    @abstractmethod
    def encode(self, image: Float[Tensor, "B 3 H W"]) -> Encoding:
        """Orientation and features of RGB images in 0..1."""

    @abstractmethod
    def decode(self, encoding: Encoding, flag: Float[Tensor, " B"]) -> KeypointPrediction:
        """Keypoint maps, given the orientation flag (0 or 1)."""
