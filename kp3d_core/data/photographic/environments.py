"""Random surroundings that objects mirror: skies, streets, rooms, and photographs bent around."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.rendering.environment import (
    Environment,
    environment_directions,
    make_environment,
)

FloatArray = NDArray[np.float64]


def random_environment(
    rng: np.random.Generator, photographs: NDArray[np.uint8] | None = None
) -> Environment:
    """A clear or overcast sky over a street, a room, or (half of them, if given) a photograph.

    The brightest side of a sky and the windows of a room lie around azimuth 0.

    Args:
        rng: draws everything.
        photographs: (P, 3, S, S) to choose from.
    """
    directions = environment_directions()
    if photographs is not None and rng.random() < 0.5:
        picture = photographs[rng.integers(len(photographs))]
        return make_environment(_photograph(picture, directions, rng))
    if rng.random() < 0.3:
        return make_environment(_room(directions, rng))
    return make_environment(_outdoors(directions, rng))


def _outdoors(directions: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Sky, clouds, a skyline of buildings and trees, ground."""
    x, y, z = np.moveaxis(directions, -1, 0)
    azimuth = np.arctan2(y, x)
    up = np.clip(z, 0.0, 1.0)[..., None]
    overcast = rng.random() < 0.4
    if overcast:  # CIE overcast sky: the zenith is three times as bright as the horizon
        sky = rng.uniform(0.5, 1.0) * (1 + 2 * up) / 3 * rng.uniform(0.92, 1.05, 3)
    else:
        zenith = np.array([0.12, 0.24, 0.55]) * rng.uniform(0.7, 1.3)
        horizon = np.array([0.75, 0.85, 1.0]) * rng.uniform(0.7, 1.2)
        sky = horizon + (zenith - horizon) * np.sqrt(up)
    toward = np.clip(x * 0.9 + z * 0.45, 0.0, 1.0)[..., None]
    warm = np.array([1.0, rng.uniform(0.75, 1.0), rng.uniform(0.5, 0.95)])
    sky = sky + math.exp(rng.uniform(-1.6, 1.8)) * (0.3 if overcast else 1.0) * toward**8 * warm
    clouds = np.clip(3 * (_sphere_noise(directions, 3.0, rng) - rng.uniform(0.4, 0.75)), 0.0, 1.0)
    sky = sky + (rng.uniform(0.7, 1.8) - sky) * 0.7 * clouds[..., None]
    radiance = np.where(z[..., None] > 0, sky, _ground(directions, rng))
    # Skyline: bands of azimuth with a height and a colour each.
    count = int(rng.integers(4, 28))
    tallest = math.radians(rng.choice([4.0, 12.0, 28.0, 45.0]))
    heights = tallest * rng.random(count) ** 1.3
    colors = _muted_colors(count, rng) * rng.uniform(0.3, 1.0)
    band = np.floor((azimuth / (2 * math.pi) + 0.5) * count).astype(np.int64) % count
    built = (np.arcsin(np.clip(z, -1, 1)) < heights[band]) & (z > -0.02)
    texture = 0.6 + 0.8 * _sphere_noise(directions, rng.uniform(4.0, 12.0), rng)[..., None]
    return np.where(built[..., None], colors[band] * texture, radiance)


def _ground(directions: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Asphalt, paving, grass, earth or snow, patchy, darker far below."""
    bases = np.array(
        [[0.1, 0.1, 0.1], [0.25, 0.24, 0.22], [0.07, 0.12, 0.04], [0.2, 0.14, 0.09],
         [0.7, 0.72, 0.75], [0.16, 0.16, 0.17]]
    )  # fmt: skip
    base = bases[rng.choice(6, p=[0.3, 0.2, 0.15, 0.1, 0.05, 0.2])] * rng.uniform(0.6, 1.6)
    patches = 0.75 + 0.5 * _sphere_noise(directions, rng.uniform(3.0, 10.0), rng)[..., None]
    return np.broadcast_to(base, directions.shape) * patches


def _room(directions: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Walls, floor, a ceiling with lamps, and windows in one wall."""
    x, y, z = np.moveaxis(directions, -1, 0)
    extent = np.array([rng.uniform(2.0, 6.0), rng.uniform(2.0, 6.0), rng.uniform(1.0, 2.0)])
    shares = np.abs(directions) / extent
    side = np.argmax(shares, axis=-1)
    point = directions / shares.max(axis=-1, keepdims=True)  # where the ray meets the box
    walls = rng.uniform(0.15, 0.6) * (0.75 + 0.25 * _muted_colors(4, rng))
    facing = np.where(side == 0, np.where(x > 0, 0, 1), np.where(y > 0, 2, 3))
    radiance = walls[facing]
    floor = _muted_colors(1, rng)[0] * rng.uniform(0.2, 0.8)
    ceiling = np.full(3, rng.uniform(0.3, 0.8))
    vertical = side == 2
    radiance = np.where((vertical & (z < 0))[..., None], floor, radiance)
    radiance = np.where((vertical & (z > 0))[..., None], ceiling, radiance)
    clutter = 0.6 + 0.8 * _sphere_noise(directions, rng.uniform(3.0, 8.0), rng)[..., None]
    radiance = np.where((z < 0.25)[..., None], radiance * clutter, radiance)
    pitch, width = rng.uniform(0.8, 2.5, 2), rng.uniform(0.1, 0.45, 2)
    lamp = vertical & (z > 0)
    lamp &= (np.abs((point[..., 0] / pitch[0] + rng.random()) % 1 - 0.5) < width[0] / 2) & (
        np.abs((point[..., 1] / pitch[1] + rng.random()) % 1 - 0.5) < width[1] / 2
    )
    radiance = np.where(
        lamp[..., None], rng.uniform(2.0, 7.0) * rng.uniform(0.85, 1.0, 3), radiance
    )
    if rng.random() < 0.6:
        across = np.abs((point[..., 1] / rng.uniform(1.0, 2.5) + 0.5) % 1 - 0.5) < 0.35
        high = (point[..., 2] > -0.1 * extent[2]) & (point[..., 2] < 0.8 * extent[2])
        window = (facing == 0) & (side == 0) & across & high
        radiance = np.where(window[..., None], rng.uniform(1.5, 5.0) * np.ones(3), radiance)
    return radiance


def _photograph(
    picture: NDArray[np.uint8], directions: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """A photograph around the object, mirrored where it ends; its brightest parts are lights."""
    x, y, z = np.moveaxis(directions, -1, 0)
    size = picture.shape[-1]
    around = np.abs((np.arctan2(y, x) / math.pi * rng.choice([1, 2]) + 1) % 2 - 1)
    elevation = np.degrees(np.arcsin(np.clip(z, -1, 1)))
    down = np.clip((rng.uniform(50.0, 75.0) - elevation) / rng.uniform(90.0, 120.0), 0.0, 1.0)
    image = cv2.remap(
        np.ascontiguousarray(picture.transpose(1, 2, 0)),
        (around * (size - 1)).astype(np.float32),
        (down * (size - 1)).astype(np.float32),
        cv2.INTER_LINEAR,
    )
    shown = image.astype(np.float64) / 255
    boost = 1 + 3 * np.clip((shown.max(axis=-1, keepdims=True) - 0.85) / 0.15, 0.0, 1.0)
    return np.square(shown) * boost + 0.01


def _sphere_noise(
    directions: FloatArray, scale: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Smooth noise over directions, about 0..1: a few plane waves."""
    total = np.zeros(directions.shape[:-1])
    for octave in (1.0, 2.1):
        waves = rng.standard_normal((4, 3)) * scale * octave
        phases = rng.uniform(0, 2 * math.pi, 4)
        total += np.cos(directions @ waves.T + phases).sum(axis=-1) / octave
    return np.clip(0.5 + 0.18 * total, 0.0, 1.0)


def _muted_colors(count: int, rng: np.random.Generator) -> FloatArray:
    """Linear colours of walls and trees: mostly greyish, (count, 3)."""
    grey = rng.uniform(0.05, 0.6, (count, 1))
    tint = 1 + rng.uniform(-0.35, 0.35, (count, 3))
    return grey * tint
