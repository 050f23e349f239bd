"""Random changes of training views on the fly: mirroring, backgrounds, light."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """How often and how far training views are changed."""

    mirror_probability: float = 0.5
    """Share of objects that are mirrored left to right, cameras with them."""
    background_probability: float = 0.0
    """Share of views set before a random background; the others stay black, as in the paper."""
    light: float = 0.0
    """Largest relative change of brightness, of contrast and of each colour channel."""


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
    num: int, height: int, width: int, generator: torch.Generator
) -> Float[Tensor, "num 3 height width"]:
    """Backgrounds in 0..1: smooth colour noise of random scale, from plain to busy."""
    result = torch.rand(num, 3, 1, 1, generator=generator).expand(num, 3, height, width).clone()
    for cells in (2, 4, 8, 16):
        noise = torch.rand(num, 3, cells, cells, generator=generator) - 0.5
        amount = torch.rand(num, 1, 1, 1, generator=generator) ** 2 * 0.9
        result += amount * F.interpolate(
            noise, (height, width), mode="bilinear", align_corners=False
        )
    return result.clamp(0, 1)


def composite(
    rgba: UInt8[Tensor, "num H W 4"], settings: Augmentation, generator: torch.Generator
) -> Float[Tensor, "num 3 H W"]:
    """Images in 0..1 from premultiplied RGBA views, over black or a random background."""
    values = rgba.permute(0, 3, 1, 2).float() / 255
    color, alpha = values[:, :3], values[:, 3:]
    num, _, height, width = color.shape
    if settings.light > 0:
        gain = 1 + settings.light * (2 * torch.rand(num, 1, 1, 1, generator=generator) - 1)
        tint = 1 + 0.5 * settings.light * (2 * torch.rand(num, 3, 1, 1, generator=generator) - 1)
        gamma = torch.exp(settings.light * (2 * torch.rand(num, 1, 1, 1, generator=generator) - 1))
        color = (color * gain * tint).clamp(0, 1) ** gamma
    if settings.background_probability > 0:
        chosen = torch.rand(num, generator=generator) < settings.background_probability
        index = chosen.nonzero()[:, 0]
        backgrounds = random_backgrounds(len(index), height, width, generator)
        color = color.clone()
        color[index] += (1 - alpha[index]) * backgrounds
    return color.clamp(0, 1)
