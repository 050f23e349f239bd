"""From rendered views to network inputs: light, scenes behind and before objects, the sensor."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from kp3d_core.data.augmentation.backgrounds import (
    image_borders,
    photograph_crops,
    random_backgrounds,
)
from kp3d_core.data.augmentation.occlusion import (
    image_edges,
    neighbours,
    random_occluders,
    random_shadows,
)
from kp3d_core.data.augmentation.sensor import Sensor, sensor_chain
from kp3d_core.data.augmentation.surfaces import reflections, uneven_light
from kp3d_core.data.draws import BatchDraws

Photographs = UInt8[Tensor, "P 3 S S"]


@dataclass(frozen=True)
class Augmentation:
    """How often and how far training views are changed."""

    mirror_probability: float = 0.5
    """Share of objects that are mirrored left to right, cameras with them."""
    background_probability: float = 0.0
    """Share of views set before a random background; the others stay black, as in the paper."""
    photograph_probability: float = 0.8
    """Share of those backgrounds that are photographs, where some are given; the rest is made up.
    Reflections and occluders show photographs as often."""
    neighbour_probability: float = 0.0
    """Share of views before a background that have other objects of the batch behind them, and in
    front of them (each, independently; those in front hide no more than `occlusion_max`)."""
    light: float = 0.0
    """Largest relative change of brightness, of contrast and of each colour channel."""
    uneven_light_probability: float = 0.0
    """Share of views on which the light changes smoothly over the object."""
    uneven_light: float = 0.45
    """Largest logarithm of that change."""
    reflection_probability: float = 0.0
    """Share of views whose object mirrors a scene."""
    reflection: float = 0.45
    """Largest share of the mirror image in a pixel."""
    occlusion_probability: float = 0.0
    """Share of views with something in front of the object."""
    occlusion_max: float = 0.4
    """Largest share of the silhouette that may be hidden."""
    truncation_probability: float = 0.0
    """Share of views in which the edge of the camera's image cuts the object off."""
    truncation_max: float = 0.3
    """Largest share of the length of the silhouette's box that may be cut off."""
    sensor: Sensor = field(default_factory=Sensor)
    """The camera's faults, after everything else."""


def composite(
    rgba: UInt8[Tensor, "num H W 4"],
    settings: Augmentation,
    draws: BatchDraws,
    photographs: Photographs | None = None,
) -> Float[Tensor, "num 3 H W"]:
    """Images in 0..1 from premultiplied RGBA views, over black or a random background.

    Args:
        rgba: views, on the device of `draws`.
        settings: of random changes.
        draws: one row for each view.
        photographs: to choose scenes from; all scenes are made up if None.
    """
    values = rgba.permute(0, 3, 1, 2).float() / 255
    color, alpha = values[:, :3], values[:, 3:]
    height, width = color.shape[-2:]
    scenes = _Scenes(height, width, settings.photograph_probability, photographs)
    color = _lit(color, alpha, settings, draws, scenes)
    hidden = torch.zeros_like(alpha)
    index, some = draws.choose(settings.background_probability)
    if len(index):
        own = torch.cat([color[index], alpha[index]], 1)
        behind = scenes.draw(some) * random_shadows(alpha[index], some)
        behind = _before(behind, own, settings.neighbour_probability, some)
        visible = own[:, :3] + (1 - own[:, 3:]) * behind
        near, some_near = some.choose(settings.neighbour_probability)
        if len(near):
            front = _limited(neighbours(own, some_near), own, near, settings.occlusion_max)
            visible = visible.index_copy(0, near, _over(front, visible[near]))
            hidden = hidden.index_copy(0, index[near], front[:, 3:])
        color = color.index_copy(0, index, visible * image_borders(height, width, some))
    index, some = draws.choose(settings.occlusion_probability)
    if len(index):
        left = alpha[index] * (1 - hidden[index])
        cover = random_occluders(alpha[index], settings.occlusion_max, some)
        remaining = (left * (1 - cover)).sum((1, 2, 3), keepdim=True)
        enough = remaining >= (1 - settings.occlusion_max) * alpha[index].sum(
            (1, 2, 3), keepdim=True
        )
        texture = scenes.draw(some)
        color = color.index_copy(0, index, torch.lerp(color[index], texture, cover * enough))
    index, some = draws.choose(settings.truncation_probability)
    if len(index):
        inside = image_edges(alpha[index], settings.truncation_max, some)
        color = color.index_copy(0, index, color[index] * inside)
    return sensor_chain(color.clamp(0, 1), settings.sensor, draws)


class _Scenes:
    """Photographs or made-up backgrounds, whichever the draw says."""

    def __init__(
        self, height: int, width: int, photograph_share: float, photographs: Photographs | None
    ) -> None:
        self._size = (height, width)
        self._share = 0.0 if photographs is None else photograph_share
        self._photographs = photographs

    def draw(self, draws: BatchDraws) -> Float[Tensor, "num 3 H W"]:
        """One scene for each row."""
        (shown, some), (rest, others) = draws.split(self._share)
        scenes = torch.empty(len(draws), 3, *self._size, device=draws.device)
        if len(rest):
            scenes[rest] = random_backgrounds(*self._size, others)
        if len(shown):
            assert self._photographs is not None
            scenes[shown] = photograph_crops(self._photographs, *self._size, some)
        return scenes


def _lit(
    color: Tensor, alpha: Tensor, settings: Augmentation, draws: BatchDraws, scenes: _Scenes
) -> Float[Tensor, "num 3 H W"]:
    """Objects in another light."""
    if settings.light > 0:
        gain = 1 + settings.light * draws.uniform(1, 1, 1, low=-1.0)
        tint = 1 + 0.5 * settings.light * draws.uniform(3, 1, 1, low=-1.0)
        gamma = torch.exp(settings.light * draws.uniform(1, 1, 1, low=-1.0))
        color = (color * gain * tint).clamp(0, 1) ** gamma
    index, some = draws.choose(settings.uneven_light_probability)
    if len(index):
        lit = uneven_light(color[index], settings.uneven_light, some)
        color = color.index_copy(0, index, torch.minimum(lit, alpha[index]))
    index, some = draws.choose(settings.reflection_probability)
    if len(index):
        mirrored = reflections(
            color[index], alpha[index], scenes.draw(some), settings.reflection, some
        )
        color = color.index_copy(0, index, mirrored)
    return color


def _before(behind: Tensor, own: Tensor, probability: float, draws: BatchDraws) -> Tensor:
    """Backgrounds with other objects in them."""
    index, some = draws.choose(probability)
    if len(index) == 0:
        return behind
    return behind.index_copy(0, index, _over(neighbours(own, some), behind[index]))


def _over(front: Float[Tensor, "num 4 H W"], behind: Float[Tensor, "num 3 H W"]) -> Tensor:
    """Premultiplied colours over others."""
    return front[:, :3] + (1 - front[:, 3:]) * behind


def _limited(front: Tensor, own: Tensor, index: Tensor, largest_share: float) -> Tensor:
    """Neighbours in front, those taken away that would hide too much of an object."""
    alpha = own[index, 3:]
    share = (front[:, 3:] * alpha).sum((1, 2, 3)) / alpha.sum((1, 2, 3)).clamp_min(1e-6)
    return front * (share <= largest_share)[:, None, None, None]
