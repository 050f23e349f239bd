"""Held-out views as a camera shows them: in front of something, and not perfect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from kp3d_core.data.augmentation import Augmentation, Sensor, composite
from kp3d_core.data.draws import BatchDraws
from kp3d_core.data.memory import ViewSet
from kp3d_core.data.photographs import read_photographs

_SEED = 0
_SEEN = Augmentation(background_probability=1.0, sensor=Sensor(probability=0.8))


def before_backgrounds(views: ViewSet, share: float, folder: Path | None = None) -> ViewSet:
    """The set with a random share of its views before random backgrounds, through a sensor.

    The other views stay as they are. Alpha stays the object's coverage; colours are no longer
    premultiplied by it there.

    Args:
        views: over black.
        share: of the views.
        folder: of photographs, which most of the backgrounds are; all are made up if None.

    Raises:
        ValueError: `share` is no share, or the folder holds no photographs.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"backgrounds must be in [0, 1], got {share}.")
    if share == 0:
        return views
    pictures = None
    if folder is not None:
        pictures = torch.from_numpy(read_photographs(folder, 2 * views.size).images)
    rgba = views.rgba.copy()
    for number, images in enumerate(views.rgba):
        index, draws = BatchDraws(_SEED + number, len(images)).choose(share)
        if len(index):
            colors = composite(torch.from_numpy(images[index]), _SEEN, draws, pictures)
            seen = (255 * colors.permute(0, 2, 3, 1)).round().numpy().astype(np.uint8)
            rgba[number, index, ..., :3] = seen
    return replace(views, rgba=rgba)
