"""Software rasterizer: a textured mesh and an exact camera to RGB, mask and depth.

Needs no GPU, driver or display. The image is supersampled by an odd factor, so the middle sample of
a pixel is its centre: mask and depth are exact there, while colour is anti-aliased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kp3d_core.rendering import kernels
from kp3d_core.rendering.mesh import Mesh
from kp3d_core.rendering.packing import PackedMesh, pack

Color = float | Sequence[float] | NDArray[np.floating]
"""One brightness or an RGB triple, in display space."""

DEFAULT_SKY = 1.0
DEFAULT_GROUND = 0.4
_MIN_DEPTH = 1e-6


@dataclass(frozen=True)
class Rendering:
    """One rendered image; all arrays share height and width."""

    rgb: NDArray[np.uint8]
    """(H, W, 3), anti-aliased, premultiplied by coverage: the object over black."""
    mask: NDArray[np.bool_]
    """(H, W), True where the ray through the pixel centre meets the object."""
    alpha: NDArray[np.uint8]
    """(H, W), anti-aliased coverage, 255 = fully covered."""
    depth: NDArray[np.float32]
    """(H, W), distance along +Z at the pixel centre in the units of T_camera_object, 0 = none."""


def render(
    mesh: Mesh | PackedMesh,
    K: ArrayLike,
    T_camera_object: ArrayLike,
    width: int,
    height: int,
    *,
    samples: int = 3,
    up_camera: ArrayLike | None = None,
    sky: Color = DEFAULT_SKY,
    ground: Color = DEFAULT_GROUND,
    mipmaps: bool = True,
) -> Rendering:
    """Draw one object.

    Shading is a hemisphere light computed in display space: a surface with unit normal n shows
    albedo * (ground + (sky - ground) * (0.5 + 0.5 * n.up)), n being turned towards the viewer
    (Blender's former Hemi lamp with a ground colour). Triangles are two-sided; where a front- and
    a back-facing one coincide, the front-facing one is shown. Triangles with a vertex at or
    behind the camera plane are dropped, not clipped.

    Args:
        mesh: what to draw; pass `pack(mesh)` to draw many views without repacking textures.
        K: intrinsics [px], shape (3, 3); the centre of the top-left pixel is (0, 0).
        T_camera_object: object to camera (x right, y down, z forward), shape (4, 4). Its rotation
            may carry a uniform scale, for example metres per model unit.
        width: image width [px].
        height: image height [px].
        samples: samples per pixel side, odd.
        up_camera: direction the light comes from, in the camera frame; the object's z axis if None.
        sky: factor for surfaces that face the light.
        ground: factor for surfaces that face away from it.
        mipmaps: read minified texture levels where the texture is finer than the samples.

    Returns:
        The image; depth in the units of T_camera_object.
    """
    K_, T = _check(K, T_camera_object, width, height, samples)
    packed = mesh if isinstance(mesh, PackedMesh) else pack(mesh)
    sky_rgb, ground_rgb = _as_rgb("sky", sky), _as_rgb("ground", ground)
    up_object = _up_in_object_frame(T, up_camera)
    rgb = np.zeros((height, width, 3), np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    mask = np.zeros((height, width), np.bool_)
    depth = np.zeros((height, width), np.float32)
    image = Rendering(rgb=rgb, mask=mask, alpha=alpha, depth=depth)

    u, v, inverse_z = _project(packed.vertices, K_, T)
    window = _window(u, v, inverse_z, width, height)
    if window is None or not len(packed.faces):
        return image
    x0, y0, x1, y1 = window
    sx = (u - x0) * samples + (samples - 1) / 2
    sy = (v - y0) * samples + (samples - 1) / 2
    shape = ((y1 - y0) * samples, (x1 - x0) * samples)
    nearest = np.zeros(shape)
    owner = np.full(shape, -1, np.int32)
    is_front = np.zeros(len(packed.faces), np.uint8)
    kernels.resolve_visibility(sx, sy, inverse_z, packed.faces, nearest, owner, is_front)
    tex = packed.textures
    kernels.shade_pixels(
        sx, sy, inverse_z, packed.vertices, packed.faces, packed.corner_normals,
        packed.corner_uv, packed.material_ids, tex.texels, tex.offset, tex.width, tex.height,
        tex.levels, tex.base_color, nearest, owner, is_front, samples, up_object, sky_rgb,
        ground_rgb, mipmaps, rgb[y0:y1, x0:x1], alpha[y0:y1, x0:x1], mask[y0:y1, x0:x1],
        depth[y0:y1, x0:x1],
    )  # fmt: skip
    return image


def _project(
    vertices: NDArray[np.float64], K: NDArray[np.float64], T: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Pixels and 1/z of the vertices; 1/z = 0 where a vertex cannot be drawn."""
    points = vertices @ T[:3, :3].T + T[:3, 3]
    z = points[:, 2]
    drawable = (z > _MIN_DEPTH) & np.isfinite(points).all(axis=1)
    inverse_z = np.where(drawable, 1.0 / np.where(drawable, z, 1.0), 0.0)
    homogeneous = np.where(drawable[:, None], points, 0.0) @ K.T
    return homogeneous[:, 0] * inverse_z, homogeneous[:, 1] * inverse_z, inverse_z


def _window(
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    inverse_z: NDArray[np.float64],
    width: int,
    height: int,
) -> tuple[int, int, int, int] | None:
    """Pixels x0, y0, x1, y1 (end excluded) that the object can touch; None = none."""
    drawable = inverse_z > 0
    if not drawable.any():
        return None
    # A pixel reaches half a pixel to each side of its centre.
    x0 = int(np.clip(np.floor(u[drawable].min() + 0.5), 0, width))
    x1 = int(np.clip(np.floor(u[drawable].max() + 0.5) + 1, 0, width))
    y0 = int(np.clip(np.floor(v[drawable].min() + 0.5), 0, height))
    y1 = int(np.clip(np.floor(v[drawable].max() + 0.5) + 1, 0, height))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _up_in_object_frame(T: NDArray[np.float64], up_camera: ArrayLike | None) -> NDArray[np.float64]:
    if up_camera is None:
        return np.array([0.0, 0.0, 1.0])
    up = np.asarray(up_camera, np.float64)
    if up.shape != (3,) or not np.isfinite(up).all() or not np.linalg.norm(up) > 0:
        raise ValueError(
            f"up_camera must be a finite, non-zero vector of shape (3,), got {up_camera}. "
            "Pass the direction the light comes from in the camera frame, or None."
        )
    up_object = T[:3, :3].T @ up
    return up_object / np.linalg.norm(up_object)


def _as_rgb(name: str, color: Color) -> NDArray[np.float64]:
    values = np.asarray(color, np.float64)
    if values.shape not in ((), (3,)) or not np.isfinite(values).all():
        raise ValueError(
            f"{name} must be a finite number or an RGB triple, got {color}. Example: {name}=1.0."
        )
    return np.broadcast_to(values, (3,)).copy()


def _check(
    K: ArrayLike, T_camera_object: ArrayLike, width: int, height: int, samples: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Validate the camera and the image, and report all problems at once."""
    K_ = np.asarray(K, np.float64)
    T = np.asarray(T_camera_object, np.float64)
    problems = []
    if K_.shape != (3, 3) or not _equals(K_[2], (0, 0, 1)):
        problems.append(
            f"K must have shape (3, 3) with last row 0 0 1, got {K_.tolist()} "
            "(pass intrinsics in pixels, not a projection matrix)"
        )
    if T.shape != (4, 4) or not _equals(T[3], (0, 0, 0, 1)):
        problems.append(
            "T_camera_object must have shape (4, 4) with last row 0 0 0 1, "
            f"got {T.tolist()} (append the row 0 0 0 1 to [R|t])"
        )
    if not (np.isfinite(K_).all() and np.isfinite(T).all()):
        problems.append("K and T_camera_object must be finite")
    if width < 1 or height < 1:
        problems.append(f"width and height must be at least 1, got {width} x {height}")
    if samples < 1 or samples % 2 == 0:
        problems.append(f"samples must be odd (1, 3, 5, ...), got {samples}")
    if problems:
        raise ValueError("Cannot render: " + "; ".join(problems) + ".")
    return K_, T


def _equals(row: NDArray[np.float64], expected: tuple[int, ...]) -> bool:
    return bool((np.abs(row - expected) <= 1e-6).all())
