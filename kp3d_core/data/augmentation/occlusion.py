"""What lies on and before objects: shadows, things in front, other objects beside them."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kp3d_core.data.augmentation.grids import image_axes
from kp3d_core.data.draws import BatchDraws
from kp3d_core.data.reframing import silhouette_boxes


def random_shadows(
    alpha: Float[Tensor, "num 1 H W"], draws: BatchDraws
) -> Float[Tensor, "num 1 H W"]:
    """Share of light left by a soft shadow of the object on the ground, 0..1.

    The silhouette, moved down, stretched and blurred: not the shadow that light would cast, but
    dark where a contact shadow is, below and beside the object.
    """
    num, _, height, _ = alpha.shape
    theta = torch.zeros(num, 2, 3, device=alpha.device)
    theta[:, 0, 0] = 1 / draws.uniform(low=0.9, high=1.25)
    theta[:, 1, 1] = 1 / draws.uniform(low=0.6, high=1.1)
    theta[:, 0, 2] = draws.uniform(low=-0.12, high=0.12)
    theta[:, 1, 2] = draws.uniform(low=-0.22, high=0.02)
    grid = F.affine_grid(theta, list(alpha.shape), align_corners=False)
    moved = F.grid_sample(alpha, grid, align_corners=False)
    radius = draws.common_integer(1, max(2, height // 10))
    width = 2 * radius + 1
    for _ in range(2):  # a box blur twice is close to a Gaussian
        for kernel, padding in (((width, 1), (radius, 0)), ((1, width), (0, radius))):
            moved = F.avg_pool2d(moved, kernel, 1, padding, count_include_pad=False)
    strength = draws.uniform(1, 1, 1, low=-0.4, high=0.85).clamp_min(0)  # a third cast none
    return 1 - strength * moved


def random_occluders(
    alpha: Float[Tensor, "num 1 H W"], largest_share: float, draws: BatchDraws
) -> Float[Tensor, "num 1 H W"]:
    """Where something stands in front of the object: a rotated box or ellipse, 0 or 1.

    Its centre lies anywhere in the view. One that would hide more than `largest_share` of the
    silhouette is left out.
    """

    def between(low: float, high: float) -> Tensor:
        return draws.uniform(1, 1, 1, low=low, high=high)

    u, v = image_axes(alpha.shape[-2], alpha.shape[-1], alpha.device)
    angle = between(0.0, math.pi)
    du, dv = u - between(-1.0, 1.0), v - between(-1.0, 1.0)
    along = (angle.cos() * du + angle.sin() * dv) / between(0.08, 0.7)
    across = (angle.cos() * dv - angle.sin() * du) / between(0.08, 0.4)
    box = torch.maximum(along.abs(), across.abs())
    ellipse = (along.square() + across.square()).sqrt()
    inside = (torch.where(between(0.0, 1.0) < 0.5, box, ellipse) < 1).float()
    hidden = (inside * alpha).sum((1, 2, 3)) / alpha.sum((1, 2, 3)).clamp_min(1e-6)
    return inside * (hidden <= largest_share).float()[:, None, None, None]


def image_edges(
    alpha: Float[Tensor, "num 1 H W"], largest_share: float, draws: BatchDraws
) -> Float[Tensor, "num 1 H W"]:
    """1 inside the camera's image, 0 beyond an edge that cuts the object off.

    The edge is left, right, above or below; it cuts off up to `largest_share` of the length of the
    silhouette's box.
    """
    height, width = alpha.shape[-2:]
    u, v = image_axes(height, width, alpha.device)
    centre, size = silhouette_boxes((255 * alpha[:, 0]).to(torch.uint8))
    side = draws.integers(4)
    horizontal, sign = side < 2, 1 - 2 * (side % 2)
    middle = torch.where(horizontal, centre[:, 0], centre[:, 1])
    length = torch.where(horizontal, size[:, 0], size[:, 1])
    limit = sign * middle + length * (0.5 - draws.uniform(high=largest_share))
    across = torch.where(horizontal[:, None, None], u, v) * sign[:, None, None]
    return (across <= limit[:, None, None]).float()[:, None]


def neighbours(
    images: Float[Tensor, "batch 4 H W"], draws: BatchDraws
) -> Float[Tensor, "num 4 H W"]:
    """Other objects: a view of the batch for each row of `draws`, put beside the middle.

    Premultiplied RGBA. They are 0.5 to 1.3 times as large and stand to the left or right, somewhat
    higher or lower, as parked cars or the chairs around a table do. A view may meet another one of
    its own object.
    """
    others = images[draws.integers(len(images))]
    size = torch.exp(draws.uniform(low=math.log(0.5), high=math.log(1.3)))
    side = torch.sign(draws.uniform(low=-1.0))
    theta = torch.zeros(len(draws), 2, 3, device=images.device)
    theta[:, 0, 0] = torch.sign(draws.uniform(low=-1.0)) / size
    theta[:, 1, 1] = 1 / size
    offset = torch.stack(
        [side * draws.uniform(low=0.35, high=1.3), draws.uniform(low=-0.35, high=0.25)], -1
    )
    theta[:, :, 2] = -offset * torch.stack([theta[:, 0, 0], theta[:, 1, 1]], -1)
    grid = F.affine_grid(theta, list(others.shape), align_corners=False)
    return F.grid_sample(others, grid, align_corners=False)
