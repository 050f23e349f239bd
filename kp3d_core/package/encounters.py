"""What a model meets in use, with the truth: objects in clutter, empty boxes, boxes around others.

Rendered views are widened by nothing around them, so that their camera sees more, and composed as
for training: pictures behind, objects beside and in front, occluders, the camera's faults. The edge
of the image cuts some objects off. Boxes are as a 2D detector gives them, with its errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kp3d_core.data.augmentation import Augmentation, Sensor, composite
from kp3d_core.data.draws import BatchDraws
from kp3d_core.data.memory import ViewSet
from kp3d_core.data.photographs import read_photographs
from kp3d_core.data.procedural import CATEGORIES, make_instance
from kp3d_core.data.splits import first_seed
from kp3d_core.evaluation.robustness.backgrounds import draw_family, paint_background
from kp3d_core.inference import CameraModel, Region
from kp3d_core.rendering.packing import pack
from kp3d_core.rendering.rasterizer import render

FloatArray = NDArray[np.float64]
Image = NDArray[np.uint8]

_BATCH = 32
_MARGIN = 4
"""A view's width over what is added on each side."""
_VISIBLE_ALPHA = 64
"""Pixels with less coverage do not count for a box."""
_OTHERS_OFFSET = 700_000_001
"""Where the seeds of other categories' objects start, in the fresh range of a split."""
_CUT_SHARE, _CUT_MAX = 0.15, 0.3
"""Share of objects at the image's edge, and the largest share of their box that it cuts off."""
_SENSOR = Sensor(probability=0.8)
_SCENES = Augmentation(
    background_probability=1.0,
    photograph_probability=1.0,
    neighbour_probability=0.4,
    light=0.15,
    uneven_light_probability=0.4,
    reflection_probability=0.3,
    occlusion_probability=0.3,
    sensor=_SENSOR,
)
_ALONE = Augmentation(background_probability=1.0, photograph_probability=1.0, sensor=_SENSOR)
_PICTURES = 96
"""Procedural pictures that stand in for photographs."""


@dataclass(frozen=True)
class Mix:
    """Of what a set of encounters consists; shares of the boxes."""

    empty: float = 0.1
    """Boxes around nothing."""
    others: float = 0.1
    """Boxes around objects of other categories."""
    box_error: float = 0.1
    """Standard deviation of a box's place, relative to its sides, and of the logarithms of its
    sides."""
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Encounter:
    """An image with a box in it."""

    image: Image
    """RGB (H, W, 3)."""
    camera: CameraModel
    region: Region
    """The box, as a 2D detector gives it."""
    T_camera_object: FloatArray | None
    """The truth, (4, 4) [model units]; None if the box holds no object of the category."""
    source: str
    """What it was made of: encounters of one source are not independent of each other."""


def procedural_pictures(category: str, size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Pictures (P, 3, S, S) of made surfaces and scenery, where no photographs are given."""
    rng = np.random.default_rng((seed, 20))
    pictures = [
        paint_background(draw_family(rng), rng, (size, size), category) for _ in range(_PICTURES)
    ]
    return np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2))


def pictures_for(folder: Path | None, category: str, size: int, part: int) -> NDArray[np.uint8]:
    """Every other picture of a folder (P, 3, S, S), or procedural ones without a folder.

    Args:
        folder: of photographs.
        category: of the model.
        size: S [px].
        part: 0 to fit to, 1 to measure on: they have no picture in common.

    Raises:
        ValueError: fewer than two usable pictures in the folder.
    """
    if folder is None:
        return procedural_pictures(category, size, part)
    images = read_photographs(folder, size).images
    if len(images) < 2:
        raise ValueError(
            f"{folder} must hold at least 2 photographs, one to fit to and one to measure on, got "
            f"{len(images)}. Add some, or leave it out for procedural pictures."
        )
    return images[part::2]


def encounters(
    views: ViewSet, pictures: NDArray[np.uint8], count: int, split: str, mix: Mix | None = None
) -> Iterator[Encounter]:
    """`count` encounters, always the same ones for the same arguments.

    Args:
        views: rendered views of the category's objects.
        pictures: to put behind, (P, 3, S, S).
        count: how many.
        split: of the seeds of other categories' objects.
        mix: of what they consist.
    """
    mix = mix or Mix()
    rng = np.random.default_rng((mix.seed, 7))
    objects, per_object = views.rgba.shape[:2]
    others = _Others(views.category, split)
    chosen = [(n % objects, int(rng.integers(per_object))) for n in range(count)]
    for first in range(0, count, _BATCH):
        rows = chosen[first : first + _BATCH]
        kinds = rng.choice(3, len(rows), p=(1 - mix.empty - mix.others, mix.empty, mix.others))
        batch = np.stack([_widened(views.rgba[i, v]) for i, v in rows])
        for n in map(int, np.flatnonzero(kinds == 2)):
            i, v = rows[n]
            batch[n] = _widened(others.like(views, i, v, rng))
        draws = BatchDraws(int(rng.integers(2**31)), len(rows))
        pictured = torch.from_numpy(pictures)
        images = _to_bytes(composite(torch.from_numpy(batch), _SCENES, draws, pictured))
        for n, (i, v) in enumerate(rows):
            alone = kinds[n] == 1
            image = _picture_alone(pictured, batch.shape[1], rng) if alone else images[n]
            alpha = None if alone else batch[n, ..., 3]
            yield _encounter(views, i, v, image, alpha, bool(kinds[n] == 0), mix, rng)


def before_pictures(
    views: ViewSet, pictures: NDArray[np.uint8], share: float, seed: int = 0
) -> ViewSet:
    """The set with a random share of its views composed as encounters are; always the same ones.

    Alpha stays the object's coverage; colours are no longer premultiplied by it there.

    Args:
        views: over black.
        pictures: to put behind, (P, 3, S, S).
        share: 0..1.
        seed: of all draws.
    """
    rgba = views.rgba.copy()
    chosen = np.random.default_rng((seed, 11)).random(rgba.shape[:2]) < share
    pictured = torch.from_numpy(pictures)
    rows = np.argwhere(chosen)
    np.random.default_rng((seed, 12)).shuffle(rows)  # neighbours are other objects, then
    for first in range(0, len(rows), _BATCH):
        i, v = rows[first : first + _BATCH].T
        draws = BatchDraws(seed * 10_000 + first, len(i))
        rgba[i, v, ..., :3] = _to_bytes(
            composite(torch.from_numpy(views.rgba[i, v]), _SCENES, draws, pictured)
        )
    return replace(views, rgba=rgba)


def _picture_alone(pictures: torch.Tensor, size: int, rng: np.random.Generator) -> Image:
    """A picture with nothing of ours before it."""
    nothing = torch.zeros(1, size, size, 4, dtype=torch.uint8)
    draws = BatchDraws(int(rng.integers(2**31)), 1)
    return _to_bytes(composite(nothing, _ALONE, draws, pictures))[0]


def _to_bytes(images: torch.Tensor) -> Image:
    """RGB (num, H, W, 3) of images (num, 3, H, W) in 0..1."""
    values = (255 * images.permute(0, 2, 3, 1)).round()
    return np.ascontiguousarray(values.numpy(), np.uint8)


def _widened(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The view with nothing around it, half as wide and high again."""
    margin = rgba.shape[0] // _MARGIN
    return np.pad(rgba, ((margin, margin), (margin, margin), (0, 0)))


def _encounter(
    views: ViewSet,
    i: int,
    v: int,
    image: Image,
    alpha: NDArray[np.uint8] | None,
    is_object: bool,
    mix: Mix,
    rng: np.random.Generator,
) -> Encounter:
    margin = views.size // _MARGIN
    K = views.K[i, v].astype(np.float64)
    K[:2, 2] += margin
    side = image.shape[0]
    box = None if alpha is None else silhouette_box(alpha)
    if box is None:
        length = side * np.exp(rng.uniform(np.log(0.2), np.log(0.6), 2))
        corner = (side - length) * rng.random(2) - 0.5
        box = np.concatenate([corner, corner + length])
    else:
        left, top, right, bottom = _window(box, side, rng)
        image = np.ascontiguousarray(image[top:bottom, left:right])
        K[:2, 2] -= (left, top)
        box = (box - (left, top, left, top)).clip(-0.5, np.tile(image.shape[1::-1], 2) - 0.5)
    height, width = image.shape[:2]
    return Encounter(
        image=image,
        camera=CameraModel(K, width, height),
        region=_jittered(box, mix.box_error, (width, height), rng),
        T_camera_object=views.T_camera_object[i, v].astype(np.float64) if is_object else None,
        source=views.keys[i],
    )


def silhouette_box(alpha: NDArray[np.uint8]) -> FloatArray | None:
    """Left, upper, right and lower edge of a silhouette (H, W) [px]; None if there is none."""
    rows, columns = np.nonzero(alpha > _VISIBLE_ALPHA)
    if not len(rows):
        return None
    return np.array([columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5])


def _window(box: FloatArray, side: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """What the camera sees of the composed square; its edge cuts some objects off."""
    window = np.array([0, 0, side, side])
    if rng.random() < _CUT_SHARE:
        edge = int(rng.integers(4))
        axis = edge % 2
        length = box[2 + axis] - box[axis]
        cut = length * rng.uniform(0, _CUT_MAX)
        window[edge] = round(box[edge] + (cut if edge < 2 else -cut))
    left, top, right, bottom = (int(value) for value in window)
    return left, top, right, bottom


def _jittered(
    box: FloatArray, error: float, size_wh: tuple[int, int], rng: np.random.Generator
) -> Region:
    """The box with errors; what it holds of the image stays more than nothing."""
    size = np.maximum(box[2:] - box[:2], 2.0)
    middle = (box[2:] + box[:2]) / 2 + error * size * rng.normal(size=2)
    size = size * np.exp(error * rng.normal(size=2))
    low = (middle - size / 2).clip(-0.5, np.array(size_wh) - 2.5)
    high = (middle + size / 2).clip(low + 1, np.array(size_wh) - 0.5)
    return Region(*low.tolist(), *(high - low).tolist())


class _Others:
    """Objects of the other procedural categories."""

    def __init__(self, category: str, split: str) -> None:
        self._categories = [other for other in CATEGORIES if other != category]
        self._seed = first_seed(split, 10**6, _OTHERS_OFFSET)

    def like(self, views: ViewSet, i: int, v: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Premultiplied RGBA of another object where a view shows one of the category."""
        other = self._categories[int(rng.integers(len(self._categories)))]
        mesh = pack(make_instance(other, self._seed + int(rng.integers(10**6))).mesh)
        T = views.T_camera_object[i, v].astype(np.float64)
        drawn = render(mesh, views.K[i, v].astype(np.float64), T, views.size, views.size)
        return np.dstack([drawn.rgb, drawn.alpha])
