"""Spatial softmax and the moments of heatmaps: from maps to keypoints (paper, equations 3 and 4).

Coordinates are NDC: u right, v down, the outer edges of the map at -1 and +1 (`geometry.camera`).
A map of lower resolution than the image covers the same area, so its NDC are those of the image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class HeatmapMoments(NamedTuple):
    """Mean and covariance of (u, v, depth) under each heatmap."""

    uv: Float[Tensor, "*batch N 2"]
    """Expected position [NDC]."""
    depth: Float[Tensor, "*batch N"]
    """Expected depth, in the unit of the depth maps."""
    covariance: Float[Tensor, "*batch N 3 3"]
    """Second central moments of (u, v, depth)."""
    heatmap: Float[Tensor, "*batch N H W"]
    """Probabilities, each map sums to 1."""


def spatial_softmax(logits: Float[Tensor, "*batch H W"]) -> Float[Tensor, "*batch H W"]:
    """Probability over the cells of each map; invariant to a shift of its logits."""
    return logits.flatten(-2).softmax(-1).view(logits.shape)


def ndc_grid(
    height: int, width: int, like: Tensor
) -> tuple[Float[Tensor, " H W"], Float[Tensor, " H W"]]:
    """NDC of the cell centres of a map: u and v, each of shape (H, W)."""
    u = (2 * torch.arange(width, dtype=like.dtype, device=like.device) + 1) / width - 1
    v = (2 * torch.arange(height, dtype=like.dtype, device=like.device) + 1) / height - 1
    return u.expand(height, width), v[:, None].expand(height, width)


def heatmap_moments(
    logits: Float[Tensor, "*batch N H W"], depth_maps: Float[Tensor, "*batch N H W"]
) -> HeatmapMoments:
    """Decode heatmaps to keypoints; computed in the precision of the inputs, best float32."""
    heatmap = spatial_softmax(logits)
    u, v = ndc_grid(*logits.shape[-2:], logits)
    values = torch.stack([u + 0 * heatmap, v + 0 * heatmap, depth_maps], dim=-1).flatten(-3, -2)
    weights = heatmap.flatten(-2).unsqueeze(-2)
    mean = weights @ values
    centred = values - mean
    covariance = centred.transpose(-1, -2) @ (weights.transpose(-1, -2) * centred)
    mean = mean.squeeze(-2)
    return HeatmapMoments(mean[..., :2], mean[..., 2], covariance, heatmap)


def mass_within(
    heatmap: Float[Tensor, "*batch N H W"], uv: Float[Tensor, "*batch N 2"], radius: float
) -> Float[Tensor, "*batch N"]:
    """Share of each heatmap's mass within `radius` [NDC] of `uv`, 0..1."""
    u, v = ndc_grid(*heatmap.shape[-2:], heatmap)
    squared = (u - uv[..., 0, None, None]) ** 2 + (v - uv[..., 1, None, None]) ** 2
    return (heatmap * (squared <= radius**2)).sum((-2, -1))
