"""Random changes of training views on the fly: mirroring, backgrounds, light, occlusion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from kp3d_core.data.draws import BatchDraws


@dataclass(frozen=True)
class Augmentation:
    """How often and how far training views are changed."""

    mirror_probability: float = 0.5
    """Share of objects that are mirrored left to right, cameras with them."""
    background_probability: float = 0.0
    """Share of views set before a random background; the others stay black, as in the paper."""
    light: float = 0.0
    """Largest relative change of brightness, of contrast and of each colour channel."""
    occlusion_probability: float = 0.0
    """Share of views with something in front of the object."""
    occlusion_max: float = 0.4
    """Largest share of the silhouette that may be hidden."""


def mirror(
    images: Tensor, K: Float[Tensor, "*batch 3 3"], T_camera_object: Float[Tensor, "*batch 4 4"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Views of the object mirrored left to right (y to -y), seen by the mirrored camera.

    Args:
        images: (..., H, W, C), mirrored along W.
        K: intrinsics [px].
        T_camera_object: becomes S_x T S_y: again a rigid transform.
    """
    width = images.shape[-2]
    flip_camera = torch.diag(T_camera_object.new_tensor([-1.0, 1, 1, 1]))
    flip_object = torch.diag(T_camera_object.new_tensor([1.0, -1, 1, 1]))
    K = K.clone()
    K[..., 0, 2] = width - 1 - K[..., 0, 2]
    K[..., 0, 1] = -K[..., 0, 1]
    return images.flip(-2), K, flip_camera @ T_camera_object @ flip_object


def random_backgrounds(
    height: int, width: int, draws: BatchDraws
) -> Float[Tensor, "num 3 height width"]:
    """Backgrounds in 0..1: a floor that turns into a wall, patches, smooth noise of random scales.

    From plain to busy; half of them have no edge between floor and wall.
    """
    u, v = _axes(height, width, draws.device)
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
    u, v = _axes(height, width, draws.device)
    side = draws.integers(4, 1, 1, 1)
    across, along = torch.where(side < 2, u, v), torch.where(side < 2, v, u)
    across = torch.where(side % 2 == 0, across, -across)
    limit = 1 - draws.uniform(1, 1, 1, low=-0.9, high=0.5).clamp_min(-0.3)
    return (across + draws.uniform(1, 1, 1, low=-0.2, high=0.2) * along < limit).float()


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

    u, v = _axes(alpha.shape[-2], alpha.shape[-1], alpha.device)
    angle = between(0.0, math.pi)
    du, dv = u - between(-1.0, 1.0), v - between(-1.0, 1.0)
    along = (angle.cos() * du + angle.sin() * dv) / between(0.08, 0.7)
    across = (angle.cos() * dv - angle.sin() * du) / between(0.08, 0.4)
    box = torch.maximum(along.abs(), across.abs())
    ellipse = (along.square() + across.square()).sqrt()
    inside = (torch.where(between(0.0, 1.0) < 0.5, box, ellipse) < 1).float()
    hidden = (inside * alpha).sum((1, 2, 3)) / alpha.sum((1, 2, 3)).clamp_min(1e-6)
    return inside * (hidden <= largest_share).float()[:, None, None, None]


def composite(
    rgba: UInt8[Tensor, "num H W 4"], settings: Augmentation, draws: BatchDraws
) -> Float[Tensor, "num 3 H W"]:
    """Images in 0..1 from premultiplied RGBA views, over black or a random background.

    Args:
        rgba: views, on the device of `draws`.
        settings: of random changes.
        draws: one row for each view.
    """
    values = rgba.permute(0, 3, 1, 2).float() / 255
    color, alpha = values[:, :3], values[:, 3:]
    height, width = color.shape[-2:]
    if settings.light > 0:
        gain = 1 + settings.light * draws.uniform(1, 1, 1, low=-1.0)
        tint = 1 + 0.5 * settings.light * draws.uniform(3, 1, 1, low=-1.0)
        gamma = torch.exp(settings.light * draws.uniform(1, 1, 1, low=-1.0))
        color = (color * gain * tint).clamp(0, 1) ** gamma
    index, some = draws.choose(settings.background_probability)
    if len(index):
        behind = random_backgrounds(height, width, some) * random_shadows(alpha[index], some)
        visible = color[index] + (1 - alpha[index]) * behind
        visible = visible * image_borders(height, width, some)
        color = color.index_copy(0, index, visible)
    index, some = draws.choose(settings.occlusion_probability)
    if len(index):
        cover = random_occluders(alpha[index], settings.occlusion_max, some)
        texture = random_backgrounds(height, width, some)
        color = color.index_copy(0, index, torch.lerp(color[index], texture, cover))
    return color.clamp(0, 1)


def _axes(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """U (width,) and v (height, 1) over an image, from -1 to 1."""
    u = torch.linspace(-1, 1, width, device=device)
    return u, torch.linspace(-1, 1, height, device=device)[:, None]
