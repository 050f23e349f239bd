"""Virtual cameras: turn a camera towards a ray, roll it upright and zoom, all as one homography.

A crop that only cuts and resizes keeps the viewing direction of the full image, so an object near
the edge looks turned. Rotating the camera about its centre changes no parallax, so every pixel of
the rotated view exists in the full image and the mapping back is exact.

Reference: Hartley and Zisserman, Multiple View Geometry, 2nd ed., section 8.4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float

from kp3d_core.geometry.arrays import (
    Array,
    constant,
    cross,
    inv,
    is_differentiable,
    namespace,
    transpose,
)

_MIN_SINE = 0.03
"""Below this sine of the angle between ray and gravity (2 degrees) "upright" means nothing."""


@dataclass(frozen=True)
class CropCamera:
    """Pinhole camera at the place of the full camera, with its own direction, roll and zoom."""

    K_crop: Array
    """Intrinsics of the crop, shape (3, 3) [px]."""
    R_crop_camera: Array
    """Rotation from the full camera's optical frame to the crop's, shape (3, 3)."""
    size: int
    """Width and height of the crop [px]."""


def look_at_rotation(
    center_ray: Float[Array, "*#batch 3"], down_camera: Float[Array, "*#batch 3"] | None = None
) -> Float[Array, "*batch 3 3"]:
    """Rotation `R_crop_camera` of a camera that looks along a ray with "down" downwards.

    Args:
        center_ray: direction in the camera frame that becomes the optical axis; any length.
        down_camera: gravity in the camera frame, any length; the image's own y axis if None.
            Where it is (nearly) parallel to the ray, the image's own axes decide instead.
    """
    xp = namespace(center_ray)
    z = center_ray / xp.sqrt(xp.sum(center_ray**2, axis=-1, keepdims=True))
    down = constant([0.0, 1.0, 0.0], z) if down_camera is None else down_camera
    y = _perpendicular(down, z)
    for fallback in ([0.0, 1.0, 0.0], [0.0, 0.0, -1.0]):
        usable = xp.sqrt(xp.sum(y**2, axis=-1, keepdims=True)) > _MIN_SINE
        if not is_differentiable(y) and usable.all():
            break  # the usual case; on a GPU, to ask would cost more than to go on
        y = xp.where(usable, y, _perpendicular(constant(fallback, z), z))
    y = y / xp.sqrt(xp.sum(y**2, axis=-1, keepdims=True))
    x = cross(y, z)
    return xp.stack([x, y, z], axis=-2)


def crop_intrinsics(focal_px: float, size: int) -> list[list[float]]:
    """Rows of the intrinsics of a centred square view with square pixels [px]."""
    center = (size - 1) / 2
    return [[focal_px, 0.0, center], [0.0, focal_px, center], [0.0, 0.0, 1.0]]


def make_crop_camera(
    center_ray: Float[Array, "*batch 3"],
    focal_px: float,
    size: int,
    down_camera: Float[Array, "*batch 3"] | None = None,
) -> CropCamera:
    """Camera of `size` x `size` pixels that looks along a ray, upright, with a given zoom."""
    K_crop = constant(crop_intrinsics(focal_px, size), center_ray)
    return CropCamera(K_crop, look_at_rotation(center_ray, down_camera), size)


def uncrop_homography(
    K_full: Float[Array, "*#batch 3 3"],
    K_crop: Float[Array, "*#batch 3 3"],
    R_crop_camera: Float[Array, "*#batch 3 3"],
) -> Float[Array, "*batch 3 3"]:
    """Homography from pixels of the crop to undistorted pixels of the full image."""
    return K_full @ transpose(R_crop_camera) @ inv(K_crop)


def _perpendicular(vector: Array, axis: Array) -> Any:
    """Part of the unit vector along `vector` that is perpendicular to the unit vector `axis`."""
    xp = namespace(axis)
    vector = vector / xp.sqrt(xp.sum(vector**2, axis=-1, keepdims=True))
    return vector - xp.sum(vector * axis, axis=-1, keepdims=True) * axis
