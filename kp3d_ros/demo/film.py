"""Shoots the demonstration's film in advance, so that streaming it costs the machine little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.procedural import make_instance
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.rendering.packing import pack
from kp3d_core.rendering.rasterizer import render
from kp3d_ros.demo import scene

FloatArray = NDArray[np.float64]
Pixels = TypeVar("Pixels", NDArray[np.uint8], NDArray[np.uint16])

_SHADOW_REACH = 1.35
"""Size of the patch around the car's footprint that its shadow can touch, relative to it."""


@dataclass(frozen=True)
class _Patch:
    """The part of an image in which it differs from the background."""

    x: int
    y: int
    rgb: NDArray[np.uint8]
    depth_mm: NDArray[np.uint16]


@dataclass
class Film:
    """Images of a moving car, with the truth about it."""

    kind: str = ""
    """Kind of car, for example "sedan"."""
    background: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0, 3), np.uint8))
    """The empty scene, shape (H, W, 3)."""
    background_depth_mm: NDArray[np.uint16] = field(
        default_factory=lambda: np.zeros((0, 0), np.uint16)
    )
    """Its depth, shape (H, W) [mm]; 0 where nothing is."""
    T_camera_object: list[FloatArray] = field(default_factory=list)
    """Pose of the car in each image [m]."""
    boxes: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Visible extent of the car in each image: x, y, width, height [px]."""
    _patches: list[_Patch] = field(default_factory=list)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the images [px]."""
        return self.background.shape[1], self.background.shape[0]

    def __len__(self) -> int:
        """Number of images."""
        return len(self._patches)

    def image(self, index: int) -> NDArray[np.uint8]:
        """RGB image, shape (H, W, 3)."""
        patch = self._patches[index]
        return _paste(self.background, patch, patch.rgb)

    def depth_mm(self, index: int) -> NDArray[np.uint16]:
        """What a depth camera in the same place measures, shape (H, W) [mm]; 0: nothing."""
        patch = self._patches[index]
        return _paste(self.background_depth_mm, patch, patch.depth_mm)


def shoot(
    film: Film,
    seed: int,
    frames: int,
    rate_hz: float,
    background: str,
    size_wh: tuple[int, int] = (scene.WIDTH, scene.HEIGHT),
) -> Iterator[int]:
    """Fill a film, image by image; yields the number of images done.

    Args:
        film: where the images go.
        seed: which car.
        frames: number of images.
        rate_hz: images per second.
        background: one of `scene.BACKGROUNDS`.
        size_wh: width and height of the images [px].
    """
    instance = make_instance("car", seed)
    studio = scene.make_studio(background, size_wh)
    film.kind, film.background = instance.kind, studio.rgb
    film.background_depth_mm = _millimetres(studio.depth_m)
    unit_m = scene.OBJECT_SIZE_M / 2
    bounds_m = instance.mesh.bounds.astype(np.float64) * unit_m
    mesh, K = pack(instance.mesh), scene.camera_intrinsics(size_wh)
    unit = np.diag([unit_m, unit_m, unit_m, 1.0])
    for index in range(frames):
        T_world_object = scene.car_in_world(index / rate_hz, -bounds_m[0, 2])
        T_camera_object = scene.car_in_camera(index / rate_hz, -bounds_m[0, 2])
        view = render(mesh, K, T_camera_object @ unit, *size_wh, samples=3)
        rows, columns = np.nonzero(view.alpha.any(axis=1))[0], np.nonzero(view.alpha.any(axis=0))[0]
        x0, x1, y0, y1 = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
        film.boxes.append((int(x0), int(y0), int(x1 - x0), int(y1 - y0)))
        film.T_camera_object.append(T_camera_object)
        x0, y0, x1, y1 = _patch_window(bounds_m, T_camera_object, K, size_wh)
        floor = studio.rgb[y0:y1, x0:x1].astype(np.float32)
        if studio.has_shadow:
            light = scene.shadow_on_floor(
                studio.floor_xy[y0:y1, x0:x1], T_world_object, bounds_m[:, :2]
            )
            floor *= light[..., None]
        cover = view.alpha[y0:y1, x0:x1, None].astype(np.float32) / 255
        rgb = view.rgb[y0:y1, x0:x1] + floor * (1 - cover) + 0.5
        depth_m = np.where(view.mask, view.depth, studio.depth_m)[y0:y1, x0:x1]
        patch = _Patch(x0, y0, rgb.clip(0, 255).astype(np.uint8), _millimetres(depth_m))
        film._patches.append(patch)
        yield index + 1


def shot(
    seed: int,
    frames: int,
    rate_hz: float,
    background: str,
    size_wh: tuple[int, int] = (scene.WIDTH, scene.HEIGHT),
) -> Film:
    """A whole film; arguments of `shoot`."""
    film = Film()
    for _ in shoot(film, seed, frames, rate_hz, background, size_wh):
        pass
    return film


def _paste(background: Pixels, patch: _Patch, pixels: Pixels) -> Pixels:
    image = background.copy()
    height, width = pixels.shape[:2]
    image[patch.y : patch.y + height, patch.x : patch.x + width] = pixels
    return image


def _millimetres(depth_m: NDArray[np.floating]) -> NDArray[np.uint16]:
    return np.asarray(np.round(1000 * depth_m), np.uint16)


def _patch_window(
    bounds_m: FloatArray, T_camera_object: FloatArray, K: FloatArray, size_wh: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Pixels x0, y0, x1, y1 (end excluded) that hold the car and its shadow."""
    corners = np.stack(np.meshgrid(*bounds_m.T), axis=-1).reshape(-1, 3)
    corners[:, :2] *= _SHADOW_REACH
    # The footprint grows by a fixed length, too: a narrow car has as wide a shadow.
    corners[:, :2] += 0.15 * np.sign(corners[:, :2])
    uv = project(transform_points(T_camera_object, corners), K)
    low = np.clip(np.floor(uv.min(axis=0)), 0, size_wh).astype(int)
    high = np.clip(np.ceil(uv.max(axis=0)) + 1, 0, size_wh).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
