"""Held-out views as a robot sees them: in front of something."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from kp3d_core.data.augmentation import Augmentation, composite
from kp3d_core.data.draws import BatchDraws
from kp3d_core.data.memory import ViewSet

_SEED = 0


def before_backgrounds(views: ViewSet, share: float) -> ViewSet:
    """The set with a random share of its views before backgrounds as in training.

    Alpha stays the object's coverage; colours are no longer premultiplied by it there.

    Raises:
        ValueError: `share` is no share.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"calibration_backgrounds must be in [0, 1], got {share}.")
    if share == 0:
        return views
    settings = Augmentation(background_probability=share)
    rgba = views.rgba.copy()
    for index, images in enumerate(views.rgba):
        draws = BatchDraws(_SEED + index, len(images))
        colors = composite(torch.from_numpy(images), settings, draws)
        rgba[index, ..., :3] = (255 * colors.permute(0, 2, 3, 1)).round().numpy().astype(np.uint8)
    return replace(views, rgba=rgba)
