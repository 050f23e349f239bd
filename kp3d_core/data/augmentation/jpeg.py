"""JPEG's loss on batches of images, without files: blocks, cosine transform, quantisation.

Reference: ITU-T T.81 (1992), annexes A and K; qualities scale the tables as libjpeg does.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
_TO_YCC = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)


def jpeg(
    images: Float[Tensor, "num 3 H W"], quality: Float[Tensor, " num"]
) -> Float[Tensor, "num 3 H W"]:
    """What is left of images after compression with colours at half resolution (4:2:0).

    Args:
        images: RGB in 0..1; sides are filled up to multiples of 16 by their last pixels.
        quality: 1..100 for each image.
    """
    height, width = images.shape[-2:]
    padded = F.pad(images, (0, -width % 16, 0, -height % 16), mode="replicate")
    to_ycc, to_rgb = _color_matrices(images.device)
    ycc = torch.einsum("ij,njhw->nihw", to_ycc, 255 * padded)
    scale = torch.where(quality < 50, 5000 / quality.clamp_min(1), 200 - 2 * quality)
    luminance = _blocks_lost(ycc[:, :1] - 128, _table(_LUMINANCE, scale)) + 128
    half = _blocks_lost(F.avg_pool2d(ycc[:, 1:], 2), _table(_CHROMINANCE, scale))
    chrominance = F.interpolate(half, scale_factor=2.0, mode="bilinear", align_corners=False)
    rgb = torch.einsum("ij,njhw->nihw", to_rgb, torch.cat([luminance, chrominance], dim=1))
    return (rgb[..., :height, :width] / 255).clamp(0, 1)


def _blocks_lost(
    planes: Float[Tensor, "num C H W"], table: Float[Tensor, "num 8 8"]
) -> Float[Tensor, "num C H W"]:
    """Transform 8x8 blocks, round in units of the table, transform back."""
    cosine = _cosine_matrix(planes.device)
    blocks = planes.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8)).transpose(-3, -2)
    steps = table[:, None, None, None]
    values = ((cosine @ blocks @ cosine.T) / steps).round() * steps
    restored = cosine.T @ values @ cosine
    return restored.transpose(-3, -2).flatten(-2).flatten(-3, -2)


def _table(base: tuple[tuple[int, ...], ...], scale: Float[Tensor, " num"]) -> Tensor:
    """Quantisation steps for each image, (num, 8, 8)."""
    steps = torch.tensor(base, dtype=scale.dtype, device=scale.device)
    return ((steps * scale[:, None, None] + 50) / 100).floor().clamp(1, 255)


@cache
def _cosine_matrix(device: torch.device) -> Tensor:
    """Orthonormal DCT-II of length 8."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)
    matrix = 0.5 * torch.cos(math.pi * k * (2 * n + 1) / 16)
    matrix[0] /= math.sqrt(2)
    return matrix.to(device)


@cache
def _color_matrices(device: torch.device) -> tuple[Tensor, Tensor]:
    """RGB to luminance and chrominance (JFIF), and back."""
    matrix = torch.tensor(_TO_YCC, dtype=torch.float64)
    return matrix.float().to(device), matrix.inverse().float().to(device)
