"""What stands behind objects: made-up scenes, photographs, the edge of the camera's image."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from kp3d_core.data.augmentation.grids import image_axes
from kp3d_core.data.draws import BatchDraws


def random_backgrounds(
    height: int, width: int, draws: BatchDraws
) -> Float[Tensor, "num 3 height width"]:
    """Backgrounds in 0..1: a floor that turns into a wall, patches, smooth noise of random scales.

    From plain to busy; half of them have no edge between floor and wall.
    """
    u, v = image_axes(height, width, draws.device)
    wall = draws.uniform(3, 1, 1)
    floor = torch.lerp(wall, draws.uniform(3, 1, 1), draws.uniform(1, 1, 1))
    floor = torch.where(draws.uniform(1, 1, 1) < 0.5, wall, floor)
    edge = draws.uniform(1, 1, 1, low=-1.0) + draws.uniform(1, 1, 1, low=-0.15, high=0.15) * u
    softness = 0.02 + 0.5 * draws.uniform(1, 1, 1) ** 2
    result = torch.lerp(wall, floor, torch.sigmoid((v - edge) / softness))
    busy = (draws.uniform(1, 1, 1) < 0.6).float()
    for cells in (4, 8, 16, 32):
        patches = busy * random_patches(height, width, cells, draws)
        result = torch.lerp(result, draws.uniform(3, 1, 1).expand_as(result), patches)
    for cells in (2, 4, 8, 16):
        noise = draws.uniform(3, cells, cells, low=-0.5, high=0.5)
        amount = 0.9 * draws.uniform(1, 1, 1) ** 3
        result = result + amount * F.interpolate(
            noise, (height, width), mode="bilinear", align_corners=False
        )
    grey = result.mean(1, keepdim=True)
    return torch.lerp(grey, result, draws.uniform(1, 1, 1)).clamp(0, 1)


def random_patches(
    height: int, width: int, cells: int, draws: BatchDraws
) -> Float[Tensor, "num 1 height width"]:
    """Where patches of another colour cover a background, 0..1; half of the images have none.

    Noise of `cells` x `cells` values, turned, stretched to blobs or bands, and cut off at a random
    level with a soft or hard edge: contrasts and straight or curved edges such as an object has.
    """
    angle = draws.uniform(low=0.0, high=math.pi)
    stretch = torch.exp(draws.uniform(low=-1.2, high=1.2))
    scale = draws.uniform(low=0.4, high=1.0)
    cos, sin = angle.cos(), angle.sin()
    theta = torch.zeros(len(draws), 2, 3, device=draws.device)
    theta[:, 0, 0], theta[:, 0, 1] = scale * stretch * cos, -scale * stretch * sin
    theta[:, 1, 0], theta[:, 1, 1] = scale / stretch * sin, scale / stretch * cos
    grid = F.affine_grid(theta, [len(draws), 1, height, width], align_corners=False)
    noise = draws.uniform(1, cells, cells, low=-0.5, high=0.5)
    field = F.grid_sample(noise, grid, padding_mode="reflection", align_corners=False)
    level = draws.uniform(1, 1, 1, low=-0.2, high=0.2)
    sharpness = torch.exp(draws.uniform(1, 1, 1, low=2.0, high=5.0))
    present = (draws.uniform(1, 1, 1) < 0.5).float()
    return present * torch.sigmoid(sharpness * (field - level))


def image_borders(
    height: int, width: int, draws: BatchDraws
) -> Float[Tensor, "num 1 height width"]:
    """1 inside the camera's image, 0 outside: crops near its edge see black beyond.

    A slightly slanted edge at a random side, up to a quarter of the crop wide; none for most.
    """
    u, v = image_axes(height, width, draws.device)
    side = draws.integers(4, 1, 1, 1)
    across, along = torch.where(side < 2, u, v), torch.where(side < 2, v, u)
    across = torch.where(side % 2 == 0, across, -across)
    limit = 1 - draws.uniform(1, 1, 1, low=-0.9, high=0.5).clamp_min(-0.3)
    return (across + draws.uniform(1, 1, 1, low=-0.2, high=0.2) * along < limit).float()


def photograph_crops(
    photographs: UInt8[Tensor, "P 3 S S"], height: int, width: int, draws: BatchDraws
) -> Float[Tensor, "num 3 height width"]:
    """Random parts of photographs, 0..1: 0.3 to 1 of a side, mirrored, brighter or darker."""
    chosen = draws.integers(len(photographs)).to(photographs.device)
    pictures = photographs[chosen].to(draws.device).float() / 255
    zoom = draws.uniform(low=0.3, high=1.0)
    stretch = torch.exp(draws.uniform(low=-0.2, high=0.2))
    mirror = torch.sign(draws.uniform(low=-1.0))
    scale = torch.stack([zoom * stretch, zoom / stretch], -1).clamp_max(1.0)
    shift = (1 - scale) * draws.uniform(2, low=-1.0)
    theta = torch.zeros(len(draws), 2, 3, device=draws.device)
    theta[:, 0, 0], theta[:, 1, 1] = mirror * scale[:, 0], scale[:, 1]
    theta[:, :, 2] = shift
    # Twice the density, then averaged: photographs must not alias where rendered objects do not.
    grid = F.affine_grid(theta, [len(draws), 3, 2 * height, 2 * width], align_corners=False)
    dense = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    gain = torch.exp(draws.uniform(1, 1, 1, low=-0.5, high=0.4))
    return (F.avg_pool2d(dense, 2) * gain).clamp(0, 1)
