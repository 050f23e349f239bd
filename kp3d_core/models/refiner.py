"""A small network that corrects all keypoints of a view together.

Each heatmap tells of its own keypoint, and knows little of what the others say. Yet their errors
hang together: where the roof is taken to be too far, so are the wheels. The refiner sees all of
them at once, with their certainty, the size and the orientation, and says by how much to move each.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

_LOG_VARIANCE_FLOOR = 1e-5
"""[NDC squared, or model units squared]."""
_MAX_DEVIATION = 6.0
"""Inputs are bounded to so many standard deviations: what lies beyond was never seen."""


class Reading(NamedTuple):
    """What is read in B images."""

    uv: Float[Tensor, "B N 2"]
    """Keypoints [NDC]."""
    depth: Float[Tensor, "B N"]
    """Relative to the object's centre [model units]."""
    covariance: Float[Tensor, "B N 3 3"]
    """Of (u, v, depth)."""
    score: Float[Tensor, "B N"]
    """0..1."""
    log_scale: Float[Tensor, " B"]
    """Logarithm of the apparent size relative to the training camera."""
    orientation_uv: Float[Tensor, "B P 2"]
    """Projections of the object points of the orientation stage [NDC]."""
    summary: Float[Tensor, "B C"]
    """Pooled features of the image; C may be 0."""


class Refiner(nn.Module):
    """Corrects what is read in an image by that and by what is read in its mirror image."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        num_keypoints: int,
        num_points: int,
        num_features: int,
        *,
        unit_ndc: float,
        mirror: bool = True,
        width: int = 256,
        dropout: float = 0.2,
    ) -> None:
        """Create a refiner that changes nothing yet.

        Args:
            num_keypoints: N, of one image.
            num_points: P, of the orientation stage.
            num_features: C, of the summary.
            unit_ndc: length in the image of a model unit at apparent size 1 [NDC].
            mirror: whether it is told what is read in the mirror image.
            width: of its hidden layers.
            dropout: share of hidden values that are left out while it is fitted, without which it
                learns single views by heart.
        """
        super().__init__()
        self.settings = {
            "num_keypoints": num_keypoints,
            "num_points": num_points,
            "num_features": num_features,
            "unit_ndc": unit_ndc,
            "mirror": mirror,
            "width": width,
            "dropout": dropout,
        }
        self.num_keypoints = num_keypoints
        self.unit_ndc = unit_ndc
        self.mirror = mirror
        inputs = (7 * num_keypoints + 2 * num_points + 3 + num_features) * (2 if mirror else 1)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        sizes = (inputs, width, width, width)
        hidden = [
            layer
            for size, next_size in pairwise(sizes)
            for layer in (nn.Linear(size, next_size), nn.SiLU(), nn.Dropout(dropout))
        ]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 3 * num_keypoints + 1))
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]

    def normalise(self, reading: Reading) -> None:
        """Take the means and deviations of inputs from typical ones; argument as of `forward`."""
        inputs = self._inputs(reading)
        self.mean.copy_(inputs.mean(0))
        self.deviation.copy_(inputs.std(0).clamp_min(1e-3))

    def forward(self, reading: Reading) -> Reading:
        """The same with other keypoints and another size.

        Args:
            reading: of images, and then, with `mirror`, of their mirror images in coordinates of
                those.
        """
        inputs = (self._inputs(reading) - self.mean) / self.deviation
        change = self.layers(inputs.clamp(-_MAX_DEVIATION, _MAX_DEVIATION))
        moves = change[:, :-1].unflatten(1, (self.num_keypoints, 3))
        return reading._replace(
            uv=reading.uv + moves[..., :2] * self._unit(reading)[:, None, None],
            depth=reading.depth + moves[..., 2],
            log_scale=reading.log_scale + change[:, -1],
        )

    def _inputs(self, reading: Reading) -> Float[Tensor, "B F"]:
        """What is read in each image, and with `mirror` what is read in its mirror image."""
        own = self._features(reading)
        if not self.mirror:
            return own
        batch = own.shape[0] // 2
        return torch.cat([own, torch.cat([own[batch:], own[:batch]])], dim=1)

    def _features(self, reading: Reading) -> Float[Tensor, "B F"]:
        """Positions in model units from the mean keypoint, so that zoom and place matter little."""
        unit = self._unit(reading)[:, None, None]
        uv, points = reading.uv / unit, reading.orientation_uv / unit
        centre = uv.mean(1, keepdim=True)
        variance = torch.stack([reading.covariance[..., i, i] for i in range(3)], dim=-1)
        return torch.cat(
            [
                (uv - centre).flatten(1),
                centre.flatten(1),
                (points - centre).flatten(1),
                reading.depth,
                (variance.clamp_min(0) + _LOG_VARIANCE_FLOOR).log().flatten(1),
                reading.score,
                reading.log_scale[:, None],
                reading.summary,
            ],
            dim=1,
        )

    def _unit(self, reading: Reading) -> Float[Tensor, " B"]:
        """Length of a model unit in each image [NDC]."""
        return self.unit_ndc * reading.log_scale.exp()
