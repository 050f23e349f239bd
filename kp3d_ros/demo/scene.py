"""The demonstration's world: a car that drives a loop on a studio floor, and a fixed camera.

World frame: x away from the camera, y left, z up; origin on the floor below the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.camera import intrinsics_from_fov
from kp3d_core.geometry.rotation import invert_transform

FloatArray = NDArray[np.float64]

WIDTH, HEIGHT = 640, 480
"""Image size of the demonstration [px]."""
FOV_DEG = 43.0
"""Horizontal field of view of the camera [deg]."""
CAMERA_HEIGHT_M = 1.15
"""Height of the camera over the floor [m]."""
CAMERA_PITCH_DEG = 27.0
"""How far the camera looks down [deg]."""
OBJECT_SIZE_M = 0.6
"""Longest dimension of the car [m]."""
LOOP_S = 12.0
"""Time for one loop, in which the car turns by 360 degrees [s]."""
BACKGROUNDS = ("studio", "black")

_FLOOR_RGB = np.array([0.71, 0.70, 0.68])
_WALL_RGB = np.array([0.55, 0.60, 0.66])
_LIGHT_AT_M = np.array([2.1, 0.0])
"""Where the floor is brightest [m]."""
_COVE_M = (3.2, 4.4)
"""Distances between which the floor turns into the wall [m]."""
_SHADOW = 0.62
"""How much light is missing under the car."""
_SHADOW_BLUR_M = 0.05


def camera_intrinsics(size_wh: tuple[int, int] = (WIDTH, HEIGHT)) -> FloatArray:
    """Intrinsics of the camera for an image size, shape (3, 3) [px]."""
    return intrinsics_from_fov(math.radians(FOV_DEG), *size_wh)


def camera_in_world() -> FloatArray:
    """`T_world_camera`, shape (4, 4) [m]."""
    pitch = math.radians(CAMERA_PITCH_DEG)
    forward = [math.cos(pitch), 0, -math.sin(pitch)]
    down = [-math.sin(pitch), 0, -math.cos(pitch)]
    T = np.eye(4)
    T[:3, :3] = np.column_stack([[0, -1, 0], down, forward])
    T[2, 3] = CAMERA_HEIGHT_M
    return T


def gravity_in_camera() -> FloatArray:
    """Direction of gravity in the camera frame, shape (3,)."""
    return np.asarray(camera_in_world()[:3, :3].T @ [0.0, 0.0, -1.0])


def car_in_world(time_s: float, height_m: float) -> FloatArray:
    """`T_world_object` of the car on its loop, shape (4, 4) [m].

    Args:
        time_s: since the start of the loop.
        height_m: of the object frame's origin over the floor.
    """
    phase = 2 * math.pi * time_s / LOOP_S
    position = [2.1 - 0.62 * math.cos(phase), 0.6 * math.sin(phase) - 0.14 * math.sin(2 * phase)]
    velocity = [0.62 * math.sin(phase), 0.6 * math.cos(phase) - 0.28 * math.cos(2 * phase)]
    heading = math.atan2(velocity[1], velocity[0])
    T = np.eye(4)
    T[:2, :2] = [
        [math.cos(heading), -math.sin(heading)],
        [math.sin(heading), math.cos(heading)],
    ]
    T[:3, 3] = [*position, height_m]
    return T


def car_in_camera(time_s: float, height_m: float) -> FloatArray:
    """`T_camera_object` of the car on its loop, shape (4, 4) [m]."""
    return np.asarray(invert_transform(camera_in_world()) @ car_in_world(time_s, height_m))


@dataclass(frozen=True)
class Studio:
    """What the camera sees without the car."""

    rgb: NDArray[np.uint8]
    """Shape (H, W, 3)."""
    floor_xy: NDArray[np.float32]
    """World x and y of the floor seen by each pixel, shape (H, W, 2) [m]."""
    depth_m: NDArray[np.float32]
    """Along the camera's axis, shape (H, W) [m]; 0 where nothing is."""
    has_shadow: bool


def make_studio(background: str, size_wh: tuple[int, int] = (WIDTH, HEIGHT)) -> Studio:
    """The background of that name; "black" has neither floor nor shadow."""
    if background not in BACKGROUNDS:
        raise ValueError(
            f"background must be one of {', '.join(BACKGROUNDS)}, got '{background}'. Choose one."
        )
    width, height = size_wh
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1).astype(np.float64)
    rays = pixels @ (camera_in_world()[:3, :3] @ np.linalg.inv(camera_intrinsics(size_wh))).T
    down = np.maximum(-rays[..., 2:], 1e-3)
    floor_xy = rays[..., :2] / down * CAMERA_HEIGHT_M
    if background == "black":
        black = np.zeros((height, width, 3), np.uint8)
        return Studio(
            black, floor_xy.astype(np.float32), np.zeros_like(black[..., 0], np.float32), False
        )
    distance = np.linalg.norm(floor_xy - _LIGHT_AT_M, axis=-1)
    floor = _FLOOR_RGB * (0.78 + 0.32 / (1 + (distance[..., None] / 1.6) ** 2))
    near, far = _COVE_M
    along = np.clip((floor_xy[..., :1] - near) / (far - near), 0, 1)
    blend = along * along * (3 - 2 * along)
    rgb = floor * (1 - blend) + _WALL_RGB * blend
    # The rays are one metre deep; the wall stands where the floor has turned into it.
    depth_m = np.minimum(CAMERA_HEIGHT_M / down[..., 0], far).astype(np.float32)
    pixels = (255 * rgb).clip(0, 255).astype(np.uint8)
    return Studio(pixels, floor_xy.astype(np.float32), depth_m, True)


def shadow_on_floor(
    floor_xy: NDArray[np.float32], T_world_object: FloatArray, footprint_m: FloatArray
) -> NDArray[np.float32]:
    """Share of light that reaches the floor around the car, shape (H, W).

    Args:
        floor_xy: world coordinates of the floor, shape (H, W, 2) [m].
        T_world_object: pose of the car.
        footprint_m: bounds of the car in its own x and y, shape (2, 2): minimum, maximum [m].
    """
    center = T_world_object[:2, 3]
    in_car = (floor_xy - center.astype(np.float32)) @ T_world_object[:2, :2].astype(np.float32)
    middle, half = footprint_m.mean(axis=0), (footprint_m[1] - footprint_m[0]) / 2
    outside = np.maximum(np.abs(in_car - middle) - (half - _SHADOW_BLUR_M), 0)
    distance = cv2.magnitude(outside[..., 0].astype(np.float32), outside[..., 1].astype(np.float32))
    return np.asarray(1 - _SHADOW * np.exp(-((distance / (2 * _SHADOW_BLUR_M)) ** 2)), np.float32)
