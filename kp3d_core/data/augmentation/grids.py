"""Coordinates over images."""

from __future__ import annotations

import torch
from torch import Tensor


def image_axes(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """U (width,) and v (height, 1) over an image, from -1 to 1."""
    u = torch.linspace(-1, 1, width, device=device)
    return u, torch.linspace(-1, 1, height, device=device)[:, None]
