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
    maps: Float[Tensor, "*batch H W"],
) -> tuple[Float[Tensor, "H W"], Float[Tensor, "H W"]]:
    """NDC of the cell centres of maps: u and v, on the device and in the precision of `maps`."""
    height, width, like = maps.shape[-2], maps.shape[-1], maps
    u = (2 * torch.arange(width, dtype=like.dtype, device=like.device) + 1) / width - 1
    v = (2 * torch.arange(height, dtype=like.dtype, device=like.device) + 1) / height - 1
    return u.expand(height, width), v[:, None].expand(height, width)


def heatmap_moments(
    logits: Float[Tensor, "*batch N H W"], depth_maps: Float[Tensor, "*batch N H W"]
) -> HeatmapMoments:
    """Decode heatmaps to keypoints; computed in the precision of the inputs, best float32.

    Raw moments by two matrix products with the (constant) monomials of the grid: no temporary is
    larger than one map per keypoint, and an exported graph stays small.
    """
    heatmap = spatial_softmax(logits)
    u, v = (axis.flatten() for axis in ndc_grid(logits))
    monomials = torch.stack([u, v, u * u, u * v, v * v, torch.ones_like(u)], dim=-1)
    flat, depth_flat = heatmap.flatten(-2), depth_maps.flatten(-2)
    weighted_depth = flat * depth_flat
    mean_u, mean_v, mean_uu, mean_uv, mean_vv, _ = (flat @ monomials).unbind(-1)
    mean_du, mean_dv, _, _, _, mean_d = (weighted_depth @ monomials).unbind(-1)
    mean_dd = (weighted_depth * depth_flat).sum(-1)
    uu, uv, vv = mean_uu - mean_u**2, mean_uv - mean_u * mean_v, mean_vv - mean_v**2
    du, dv = mean_du - mean_d * mean_u, mean_dv - mean_d * mean_v
    dd = mean_dd - mean_d**2
    rows = [torch.stack(row, -1) for row in ((uu, uv, du), (uv, vv, dv), (du, dv, dd))]
    return HeatmapMoments(torch.stack([mean_u, mean_v], -1), mean_d, torch.stack(rows, -2), heatmap)


def mass_within(
    heatmap: Float[Tensor, "*batch N H W"], uv: Float[Tensor, "*batch N 2"], radius: float
) -> Float[Tensor, "*batch N"]:
    """Share of each heatmap's mass within `radius` [NDC] of `uv`, 0..1."""
    u, v = ndc_grid(heatmap)
    squared = (u - uv[..., 0, None, None]) ** 2 + (v - uv[..., 1, None, None]) ** 2
    return (heatmap * (squared <= radius**2)).sum((-2, -1))
