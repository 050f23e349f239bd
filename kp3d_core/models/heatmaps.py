"""Spatial softmax and the moments of heatmaps: from maps to keypoints (paper, equations 3 and 4).

Coordinates are NDC: u right, v down, the outer edges of the map at -1 and +1 (`geometry.camera`).
A map of lower resolution than the image covers the same area, so its NDC are those of the image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

FLAG_SHARPNESS = 10.0
"""Slope of the front/back probability over the difference of the two u [1 / NDC]."""
_MEAN = (0, 1, 7)
"""Where u, v, d (depth) stand among the raw moments u, v, uu, uv, vv, du, dv, d, dd."""
_SECOND = (2, 3, 5, 3, 4, 6, 5, 6, 8)
"""Where the 3x3 second moments of (u, v, d) stand, row by row."""


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


def expected_uv(logits: Float[Tensor, "*batch P H W"]) -> Float[Tensor, "*batch P 2"]:
    """Expected positions under heatmaps [NDC], where nothing else of them is asked for."""
    return spatial_softmax(logits).flatten(-2) @ torch.stack(ndc_grid(logits), dim=-1).flatten(0, 1)


def heatmap_moments(
    logits: Float[Tensor, "*batch N H W"], depth_maps: Float[Tensor, "*batch N H W"]
) -> HeatmapMoments:
    """Decode heatmaps to keypoints; computed in the precision of the inputs, best float32.

    Raw moments by two matrix products with the (constant) monomials of the grid: no temporary is
    larger than one map per keypoint, and an exported graph stays small.
    """
    heatmap = spatial_softmax(logits)
    u, v = (axis.flatten() for axis in ndc_grid(logits))
    quadratic = torch.stack([u, v, u * u, u * v, v * v], dim=-1)
    linear = torch.stack([u, v, torch.ones_like(u)], dim=-1)
    flat, depth = heatmap.flatten(-2), depth_maps.flatten(-2)
    weighted_depth = flat * depth
    depth_squared = (weighted_depth * depth).sum(-1, keepdim=True)
    raw = torch.cat([flat @ quadratic, weighted_depth @ linear, depth_squared], dim=-1)
    mean = raw.index_select(-1, torch.tensor(_MEAN, device=raw.device))
    second = raw.index_select(-1, torch.tensor(_SECOND, device=raw.device)).unflatten(-1, (3, 3))
    covariance = second - mean[..., :, None] * mean[..., None, :]
    return HeatmapMoments(mean[..., :2], mean[..., 2], covariance, heatmap)


def mass_within(
    heatmap: Float[Tensor, "*batch N H W"], uv: Float[Tensor, "*batch N 2"], radius: float
) -> Float[Tensor, "*batch N"]:
    """Share of each heatmap's mass within `radius` [NDC] of `uv`, 0..1."""
    u, v = ndc_grid(heatmap)
    squared = (u - uv[..., 0, None, None]) ** 2 + (v - uv[..., 1, None, None]) ** 2
    return (heatmap * (squared <= radius**2)).sum((-2, -1))


def flag_logit(orientation_uv: Float[Tensor, "*batch P 2"]) -> Float[Tensor, "*batch"]:
    """Log odds that the front lies to the right of the back; positive means flag 1.

    Args:
        orientation_uv: predicted projections [NDC], front (1, 0, 0) first, back (-1, 0, 0) second.
    """
    return FLAG_SHARPNESS * (orientation_uv[..., 0, 0] - orientation_uv[..., 1, 0])
