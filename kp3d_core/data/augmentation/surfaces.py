"""How surfaces look in light that the renderer does not know: reflections, uneven light."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kp3d_core.data.draws import BatchDraws


def uneven_light(
    color: Float[Tensor, "num 3 H W"], strength: float, draws: BatchDraws
) -> Float[Tensor, "num 3 H W"]:
    """Brightness that changes smoothly over the image by factors of up to e^`strength`."""
    cells = torch.exp(draws.uniform(1, 3, 3, low=-strength, high=strength))
    return color * F.interpolate(
        cells, color.shape[-2:], mode="bicubic", align_corners=False
    ).clamp_min(0)


def reflections(
    color: Float[Tensor, "num 3 H W"],
    alpha: Float[Tensor, "num 1 H W"],
    scenes: Float[Tensor, "num 3 H W"],
    strongest: float,
    draws: BatchDraws,
) -> Float[Tensor, "num 3 H W"]:
    """Objects in whose paint and glass a scene is mirrored, in some places more than in others.

    Args:
        color: premultiplied by coverage.
        alpha: coverage.
        scenes: what is mirrored, 0..1.
        strongest: largest share of the mirror image in a pixel.
        draws: one row for each image.
    """
    noise = F.interpolate(
        draws.uniform(1, 5, 5), color.shape[-2:], mode="bicubic", align_corners=False
    ).clamp(0, 1)
    share = strongest * draws.uniform(1, 1, 1) * noise
    return torch.lerp(color, alpha * scenes, share)
