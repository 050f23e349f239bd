"""What stands on the table, where, and in which light: drawn at random by a seed.

World frame: that of the arm's base, x forward, y left, z up; the table's top is z = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kp3d_ros.demo.grasp.cameras import FloatArray, Light, looking_at
from kp3d_ros.demo.grasp.objects import GraspObject

_MUG_X_M, _MUG_Y_M = (0.4, 0.6), (-0.2, 0.2)
"""Where the mug's axis may be, within the arm's reach and the camera's sight [m]."""
_CLEARANCE_M = (0.11, 0.3)
"""Between the mug and the nearest side of another object [m]."""
_CLUTTER_M = (0.055, 0.12)
"""The same in clutter, where one object is between the mug and the camera [m]."""


@dataclass(frozen=True)
class Other:
    """An object that is in the way."""

    shape: str
    """"box" or "cylinder"."""
    half_m: tuple[float, float, float]
    """Half its extent [m]."""
    x_m: float
    y_m: float
    yaw: float
    rgb: tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """Everything random about a trial."""

    seed: int
    mug: GraspObject
    T_world_mug: FloatArray
    """Where it is put down."""
    others: tuple[Other, ...]
    T_world_camera: FloatArray
    light: Light
    table: int
    """Which texture the table has: a seed."""
    wall: int
    """Which picture hangs behind."""


def draw_scene(seed: int, mug: GraspObject, clutter: bool) -> Scene:
    """A scene; the same one for the same seed and mug.

    Args:
        seed: of everything random.
        mug: to be grasped.
        clutter: three other objects close by, one of which hides part of the mug.
    """
    rng = np.random.default_rng([seed, 21])
    yaw = rng.uniform(-math.pi, math.pi)
    x, y = rng.uniform(*_MUG_X_M), rng.uniform(*_MUG_Y_M)
    T = np.eye(4)
    T[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    T[:3, 3] = [x, y, mug.size_m[2] / 2 + 0.001]
    eye = np.array([rng.uniform(1.0, 1.15), rng.uniform(-0.2, 0.2), rng.uniform(0.5, 0.72)])
    camera = looking_at(eye, np.array([0.48, 0.0, 0.04]))
    radius = float(mug.size_m[:2].max()) / 2
    others = _clutter(rng, x, y, radius, eye) if clutter else _others(rng, x, y, radius, eye)
    azimuth, elevation = rng.uniform(-math.pi, math.pi), rng.uniform(0.6, 1.3)
    red, green, blue = (1 + rng.uniform(-0.08, 0.08, 3)).tolist()
    light = Light(
        direction=(
            3 * math.cos(azimuth) * math.cos(elevation),
            3 * math.sin(azimuth) * math.cos(elevation),
            3 * math.sin(elevation),
        ),
        color=(red, green, blue),
        ambient=float(rng.uniform(0.45, 0.65)),
        diffuse=float(rng.uniform(0.35, 0.55)),
        specular=float(rng.uniform(0.02, 0.15)),
    )
    table, wall = (int(value) for value in rng.integers(1_000_000, size=2))
    return Scene(seed, mug, T, tuple(others), camera, light, table, wall)


def _others(
    rng: np.random.Generator, x: float, y: float, radius: float, eye: FloatArray
) -> list[Other]:
    """Two to five objects away from the mug, none before it."""
    placed: list[Other] = []
    wanted = int(rng.integers(2, 6))
    for _ in range(200):
        if len(placed) == wanted:
            break
        other = _drawn(rng)
        reach = math.hypot(*other.half_m[:2])
        bearing = rng.uniform(-math.pi, math.pi)
        distance = radius + reach + rng.uniform(*_CLEARANCE_M)
        there = x + distance * math.cos(bearing), y + distance * math.sin(bearing)
        to_camera = math.atan2(eye[1] - y, eye[0] - x)
        before = abs(math.remainder(bearing - to_camera, math.tau)) < 0.7
        if not before and _fits(there, reach, placed):
            placed.append(_at(other, *there))
    return placed


def _clutter(
    rng: np.random.Generator, x: float, y: float, radius: float, eye: FloatArray
) -> list[Other]:
    """Three objects close to the mug; the first one hides part of it from the camera."""
    placed: list[Other] = []
    to_camera = math.atan2(eye[1] - y, eye[0] - x)
    for _ in range(400):
        if len(placed) == 3:
            break
        other = _drawn(rng)
        reach = math.hypot(*other.half_m[:2])
        if not placed:
            bearing = to_camera + float(rng.choice([-1, 1])) * rng.uniform(0.25, 0.5)
        else:
            bearing = to_camera + rng.uniform(0.9, math.tau - 0.9)
        distance = radius + reach + rng.uniform(*_CLUTTER_M)
        there = x + distance * math.cos(bearing), y + distance * math.sin(bearing)
        if _fits(there, reach, placed):
            placed.append(_at(other, *there))
    return placed


def _drawn(rng: np.random.Generator) -> Other:
    """A box or a can of the size of groceries."""
    width = rng.uniform(0.02, 0.05)
    depth = width if rng.random() < 0.5 else rng.uniform(0.015, 0.05)
    shape = "cylinder" if depth == width else "box"
    red, green, blue = rng.uniform(0.1, 0.9, 3).tolist()
    half = (width, depth, rng.uniform(0.02, 0.065))
    return Other(shape, half, 0.0, 0.0, rng.uniform(-math.pi, math.pi), (red, green, blue))


def _at(other: Other, x: float, y: float) -> Other:
    return Other(other.shape, other.half_m, x, y, other.yaw, other.rgb)


def _fits(there: tuple[float, float], reach: float, placed: list[Other]) -> bool:
    """On the table, clear of the arm's base and of the others."""
    x, y = there
    if not (0.25 < x < 0.85 and abs(y) < 0.55):
        return False
    return all(
        math.hypot(x - item.x_m, y - item.y_m) > reach + math.hypot(*item.half_m[:2]) + 0.01
        for item in placed
    )
