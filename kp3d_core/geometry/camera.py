"""Pinhole projection and its inverse, in pixels and in normalised image coordinates.

Camera frame: ROS optical (x right, y down, z forward). Pixels: the centre of the top-left pixel is
(0, 0). Normalised image coordinates ("NDC") map the outer edges of the image to -1 and +1, u right
and v down; pixel k of W has the coordinate (2 k + 1) / W - 1.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from kp3d_core.geometry.arrays import Array, constant, namespace


def project(
    points_camera: Float[Array, "*#batch N 3"], K: Float[Array, "*#batch 3 3"]
) -> Float[Array, "*batch N 2"]:
    """Image points of points in the camera frame.

    Args:
        points_camera: x right, y down, z forward; z must not be 0.
        K: intrinsics of the image that the result lives in [px], or of its NDC.

    Reference: Hartley and Zisserman, Multiple View Geometry, 2nd ed., section 6.1.
    """
    xp = namespace(points_camera, K)
    x, y, z = points_camera[..., 0], points_camera[..., 1], points_camera[..., 2]
    u = (K[..., 0, 0, None] * x + K[..., 0, 1, None] * y) / z + K[..., 0, 2, None]
    v = K[..., 1, 1, None] * y / z + K[..., 1, 2, None]
    return xp.stack([u, v], axis=-1)


def unproject(
    uv: Float[Array, "*#batch N 2"],
    depth: Float[Array, "*#batch N"],
    K: Float[Array, "*#batch 3 3"],
) -> Float[Array, "*batch N 3"]:
    """Lift image points to points in the camera frame. Inverse of `project`.

    Args:
        uv: image points in the coordinates of `K`.
        depth: distance along +Z of the optical frame, not along the ray.
        K: intrinsics of the image that `uv` lives in, after any resize or crop.

    Returns:
        Points in the unit of `depth`: x right, y down, z forward.
    """
    xp = namespace(uv, depth, K)
    y = (uv[..., 1] - K[..., 1, 2, None]) / K[..., 1, 1, None]
    x = (uv[..., 0] - K[..., 0, 2, None] - K[..., 0, 1, None] * y) / K[..., 0, 0, None]
    return xp.stack([x * depth, y * depth, depth + 0 * x], axis=-1)


def intrinsics_from_fov(fov: float, width: int, height: int) -> NDArray[np.float64]:
    """Intrinsics of a centred pinhole camera with square pixels, shape (3, 3) [px].

    Args:
        fov: full horizontal field of view [rad].
        width: image width [px].
        height: image height [px].
    """
    focal = width / 2 / math.tan(fov / 2)
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])


def ndc_to_pixel(
    uv_ndc: Float[Array, "*batch 2"], size_wh: tuple[int, int]
) -> Float[Array, "*batch 2"]:
    """Pixel coordinates of normalised image coordinates."""
    return ((uv_ndc + 1) * constant(size_wh, uv_ndc) - 1) / 2


def ndc_intrinsics(
    K: Float[Array, "*batch 3 3"], size_wh: tuple[int, int]
) -> Float[Array, "*batch 3 3"]:
    """Intrinsics that project to NDC instead of pixels of an image of `size_wh`."""
    width, height = size_wh
    to_ndc = [[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]]
    return constant(to_ndc, K) @ K


def pixel_intrinsics(
    K_ndc: Float[Array, "*batch 3 3"], size_wh: tuple[int, int]
) -> Float[Array, "*batch 3 3"]:
    """Intrinsics that project to pixels of an image of `size_wh`. Inverse of `ndc_intrinsics`."""
    width, height = size_wh
    to_pixels = [[width / 2, 0, (width - 1) / 2], [0, height / 2, (height - 1) / 2], [0, 0, 1]]
    return constant(to_pixels, K_ndc) @ K_ndc
