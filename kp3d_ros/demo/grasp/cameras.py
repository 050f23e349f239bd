"""Cameras of the simulator: PyBullet's software renderer, in the conventions of ROS."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.camera import intrinsics_from_fov
from kp3d_core.geometry.rotation import invert_transform

FloatArray = NDArray[np.float64]

WIDTH, HEIGHT = 640, 480
FOV_DEG = 50.0
"""Horizontal field of view of both cameras [deg]."""
NEAR_M, FAR_M = 0.03, 4.0
DEPTH_NOISE = 0.0015
"""Standard deviation of a measured depth at 1 m; it grows with the square of the depth [m]."""
PIXEL_NOISE = 1.5
"""Standard deviation of the sensor's noise [of 255]."""


@dataclass(frozen=True)
class Light:
    """How a scene is lit."""

    direction: tuple[float, float, float]
    """Towards the light, in the world."""
    color: tuple[float, float, float]
    ambient: float
    diffuse: float
    specular: float


@dataclass(frozen=True)
class Picture:
    """What a camera sees."""

    rgb: NDArray[np.uint8]
    """Shape (H, W, 3)."""
    depth_m: NDArray[np.float32]
    """Along the optical axis, shape (H, W) [m]; 0 where nothing is measured."""
    body: NDArray[np.int32]
    """Number of the body in each pixel, shape (H, W); -1 for none. Not for the planner."""


def intrinsics(width: int = WIDTH, height: int = HEIGHT) -> FloatArray:
    """Shape (3, 3) [px]."""
    return intrinsics_from_fov(math.radians(FOV_DEG), width, height)


def looking_at(eye_m: FloatArray, target_m: FloatArray) -> FloatArray:
    """`T_world_camera` (optical frame) of a camera held upright, shape (4, 4) [m]."""
    z = (target_m - eye_m) / np.linalg.norm(target_m - eye_m)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3] = np.column_stack([x, np.cross(z, x), z])
    T[:3, 3] = eye_m
    return T


def take_picture(
    p: Any,
    T_world_camera: FloatArray,
    light: Light,
    rng: np.random.Generator | None,
    size_wh: tuple[int, int] = (WIDTH, HEIGHT),
) -> Picture:
    """Render a view.

    Args:
        p: PyBullet's client.
        T_world_camera: pose of the optical frame.
        light: of the scene.
        rng: of the sensor's noise; None for none.
        size_wh: of the image [px].
    """
    width, height = size_wh
    view = invert_transform(T_world_camera @ np.diag([1.0, -1.0, -1.0, 1.0]))
    K = intrinsics(width, height)
    projection = np.zeros((4, 4))
    projection[0, 0], projection[1, 1] = 2 * K[0, 0] / width, 2 * K[1, 1] / height
    # PyBullet's renderer takes a pixel's lower left corner for its centre.
    projection[0, 2], projection[1, 2] = 1 / width, 1 / height
    projection[2, 2] = (FAR_M + NEAR_M) / (NEAR_M - FAR_M)
    projection[2, 3] = 2 * FAR_M * NEAR_M / (NEAR_M - FAR_M)
    projection[3, 2] = -1
    _, _, rgba, buffer, body = p.getCameraImage(
        width,
        height,
        view.T.ravel().tolist(),
        projection.T.ravel().tolist(),
        lightDirection=light.direction,
        lightColor=light.color,
        lightDistance=3.0,
        lightAmbientCoeff=light.ambient,
        lightDiffuseCoeff=light.diffuse,
        lightSpecularCoeff=light.specular,
        shadow=1,
        renderer=p.ER_TINY_RENDERER,
    )
    rgb = np.reshape(rgba, (height, width, 4))[..., :3].astype(np.uint8)
    buffer = np.reshape(buffer, (height, width)).astype(np.float64)
    depth = FAR_M * NEAR_M / (FAR_M - (FAR_M - NEAR_M) * buffer)
    depth[buffer >= 1] = 0
    if rng is not None:
        noisy = rgb + PIXEL_NOISE * rng.standard_normal(rgb.shape, np.float32)
        rgb = noisy.round().clip(0, 255).astype(np.uint8)
        depth += DEPTH_NOISE * depth**2 * rng.standard_normal(depth.shape)
    return Picture(rgb, depth.astype(np.float32), np.reshape(body, (height, width)))
