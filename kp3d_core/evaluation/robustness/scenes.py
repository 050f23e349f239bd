"""Images of a robot's camera with exact truth: object, background, occluder, bounding box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.robustness.backgrounds import composite, draw_family, paint_background
from kp3d_core.evaluation.robustness.occlusion import KINDS, Field, cover_share, put_before
from kp3d_core.evaluation.robustness.placement import (
    HEIGHT,
    WIDTH,
    Placement,
    ViewSpec,
    place,
    silhouette_box,
)
from kp3d_core.inference import CameraModel, Region
from kp3d_core.rendering.packing import PackedMesh
from kp3d_core.rendering.rasterizer import Rendering, render

Image = NDArray[np.uint8]

_SIDES = 4


@dataclass(frozen=True, eq=False)
class Setting:
    """What stays the same while one value of a view is swept."""

    spec: ViewSpec
    """The view that sweeps start from."""
    backgrounds: dict[str, Image]
    """Named images (H, W, 3) to put the object before."""
    occluder_texture: Image
    """What occluders are painted with, (H, W, 3)."""
    occluder_seed: tuple[int, ...]
    """Decides shape and place of the occluder."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One view of one object."""

    images: dict[str, Image]
    """RGB (H, W, 3) before each background."""
    camera: CameraModel
    placement: Placement
    region: Region
    """Box around the visible silhouette, as a detector of boxes would give it."""
    full_box: NDArray[np.float64]
    """Edges of the box around the whole silhouette, hidden and cut off parts included [px]."""
    hidden: float
    """Share of the silhouette inside the image that is covered; equals the asked one up to the
    pixels of a tie."""


def draw_setting(seed: tuple[int, ...], category: str) -> Setting:
    """A random view from the upper hemisphere with its backgrounds and occluder."""
    rng = np.random.default_rng(seed)
    spec = ViewSpec(
        azimuth_deg=float(rng.uniform(0, 360)),
        elevation_deg=float(np.degrees(np.arcsin(rng.random()))),  # uniform over the hemisphere
        place=(float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1))),
        side=int(rng.integers(_SIDES)),
    )
    shape_hw = (HEIGHT, WIDTH)
    textured, occluder = (
        paint_background(draw_family(rng), rng, shape_hw, category) for _ in range(2)
    )
    backgrounds = {"black": np.zeros_like(textured), "textured": textured}
    return Setting(spec, backgrounds, occluder, (*seed, 1))


def shoot(mesh: PackedMesh, setting: Setting, spec: ViewSpec) -> Scene:
    """Render `spec`, one value of the setting's view changed, before all its backgrounds."""
    placement = place(mesh, spec)
    drawn = render(mesh, placement.K, placement.T_camera_object, WIDTH, HEIGHT)
    full_box = silhouette_box(mesh, placement.T_camera_object, placement.K)
    cover = np.zeros((HEIGHT, WIDTH), np.float32)
    if spec.occluded_percent > 0:
        cover = cover_share(
            _occluder_field(setting, full_box), drawn.mask, spec.occluded_percent / 100
        )
    visible = drawn.mask & (cover < 0.5)
    images = {
        name: _finish(drawn, background, cover, setting.occluder_texture)
        for name, background in setting.backgrounds.items()
    }
    return Scene(
        images=images,
        camera=CameraModel(placement.K, WIDTH, HEIGHT),
        placement=placement,
        region=_box_around(visible),
        full_box=full_box,
        hidden=1 - float(visible.sum() / drawn.mask.sum()),
    )


def _occluder_field(setting: Setting, full_box: NDArray[np.float64]) -> Field:
    rng = np.random.default_rng(setting.occluder_seed)
    kind = list(KINDS)[int(rng.integers(len(KINDS)))]
    left, top, right, bottom = (float(edge) for edge in full_box)
    return KINDS[kind](rng, (HEIGHT, WIDTH), (left, top, right, bottom))


def _finish(drawn: Rendering, background: Image, cover: NDArray[np.float32], paint: Image) -> Image:
    image = composite(drawn.rgb, drawn.alpha, background)
    return put_before(image, cover, paint) if cover.any() else image


def _box_around(mask: NDArray[np.bool_]) -> Region:
    rows, columns = np.nonzero(mask)
    return Region(
        float(columns.min()) - 0.5,
        float(rows.min()) - 0.5,
        float(np.ptp(columns)) + 1,
        float(np.ptp(rows)) + 1,
    )
