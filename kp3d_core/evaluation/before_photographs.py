"""Rendered test views as a camera would show them: before photographs, with a sensor's faults."""

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
_SENSOR = Sensor(probability=0.8)


def before_photographs(views: ViewSet, folder: Path | None, sensor: bool) -> ViewSet:
    """The same views, each before a photograph, through a sensor, or both; always the same ones.

    Alpha stays the object's coverage; colours are no longer premultiplied by it.

    Args:
        views: over black.
        folder: of photographs; black stays black if None.
        sensor: whether images go through the default chain of `augmentation.sensor`.

    Raises:
        ValueError: no photographs in the folder.
    """
    settings = Augmentation(
        background_probability=0.0 if folder is None else 1.0,
        photograph_probability=1.0,
        sensor=_SENSOR if sensor else Sensor(),
    )
    pictures = None
    if folder is not None:
        pictures = torch.from_numpy(read_photographs(folder, 2 * views.size).images)
    rgba = views.rgba.copy()
    for index, images in enumerate(views.rgba):
        draws = BatchDraws(_SEED + index, len(images))
        colors = composite(torch.from_numpy(images), settings, draws, pictures)
        rgba[index, ..., :3] = (255 * colors.permute(0, 2, 3, 1)).round().numpy().astype(np.uint8)
    return replace(views, rgba=rgba)
