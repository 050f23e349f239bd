"""Where to look: regions of an image, and the virtual cameras that show them to the network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.camera import project
from kp3d_core.geometry.crop import make_crop_camera
from kp3d_core.inference.camera import CameraModel

_MIN_PX = 0.5
"""A region of which less is in the image shows nothing."""
_MAX_TANGENT = 1.7
"""Half width of the widest view on the plane z = 1: 60 degrees to each side. A flat image of more
shows nothing but stretched corners."""


@dataclass(frozen=True)
class Region:
    """Axis-aligned rectangle in the full image that holds the object; edges between pixels.

    Pixel k covers k - 0.5 to k + 0.5, so the whole image starts at (-0.5, -0.5).
    """

    x: float
    """Left edge [px]."""
    y: float
    """Upper edge [px]."""
    width: float
    """Width [px]."""
    height: float
    """Height [px]."""
    error: float = 0.1
    """Of a box that fits around the object: standard deviation of its place, relative to its sides,
    and of the logarithms of its sides. Infinite: the object is somewhere in it."""

    def __post_init__(self) -> None:
        """Refuse what is no rectangle."""
        values = (self.x, self.y, self.width, self.height)
        if not all(math.isfinite(value) for value in values) or min(values[2:]) <= 0:
            raise ValueError(
                "Region must have finite corners and positive width and height [px], got "
                f"x={self.x}, y={self.y}, width={self.width}, height={self.height}. "
                "Drop the detection, or pass None for the whole image."
            )
        if not self.error > 0:
            raise ValueError(
                f"error of a Region must be positive, relative to its sides, got {self.error}. "
                "Pass math.inf if the object is somewhere in it."
            )


@dataclass(frozen=True, eq=False)
class View:
    """A virtual camera of the model's input size; roll follows from gravity when it is used."""

    center_ray: NDArray[np.float64] | tuple[float, float, float]
    """Direction of its optical axis in the camera frame, shape (3,); any length."""
    focal_px: float
    """Focal length at the model's input size [px]."""

    def __post_init__(self) -> None:
        """Refuse what is no camera."""
        ray = np.asarray(self.center_ray, dtype=np.float64)
        object.__setattr__(self, "center_ray", ray)
        if ray.shape != (3,) or not np.isfinite(ray).all() or not ray.any():
            raise ValueError(
                f"center_ray must be a finite direction (3,) that is not zero, got {ray.tolist()}. "
                "Pass a direction in the camera frame, for example (0, 0, 1) for straight ahead."
            )
        if not 0 < self.focal_px < math.inf:
            raise ValueError(
                f"focal_px must be positive [px], got {self.focal_px}. Pass the focal length "
                "at the model's input size."
            )


def whole_image(camera: CameraModel) -> Region:
    """The region that covers all pixels of a camera's image."""
    return Region(-0.5, -0.5, float(camera.width), float(camera.height), math.inf)


def visible_edges(region: Region, camera: CameraModel) -> tuple[float, float, float, float]:
    """Left, top, right and bottom edge of the part of a region that is in the image [px].

    Raises:
        ValueError: nothing of it is.
    """
    left, top = max(region.x, -0.5), max(region.y, -0.5)
    right = min(region.x + region.width, camera.width - 0.5)
    bottom = min(region.y + region.height, camera.height - 0.5)
    if min(right - left, bottom - top) < _MIN_PX:
        raise ValueError(
            f"Region must overlap the image of {camera.width} x {camera.height} px by at least "
            f"{_MIN_PX:g} px each way, got {region}. Check that the detection belongs to this "
            "image and is not in another resolution."
        )
    return left, top, right, bottom


def view_of_region(
    region: Region,
    camera: CameraModel,
    *,
    fill_px: float,
    input_size: int,
    down_camera: NDArray[np.float64] | None = None,
) -> View:
    """View of a region: its centre in the middle, its larger side `fill_px` pixels long.

    Args:
        region: in raw pixels of the full image; parts outside the image are cut off.
        camera: the camera of the full image.
        fill_px: length in the view that the larger side of the region gets [px].
        input_size: width and height of the view [px].
        down_camera: gravity in the camera frame; the view is rolled upright with it.
    """
    left, top, right, bottom = visible_edges(region, camera)
    middle_u, middle_v = (left + right) / 2, (top + bottom) / 2
    rays = camera.rays(
        [[middle_u, middle_v], [left, middle_v], [right, middle_v], [middle_u, top],
         [middle_u, bottom]]
    )  # fmt: skip
    crop = make_crop_camera(rays[0], 1.0, 1, down_camera)  # unit focal length: image plane at z = 1
    sides = rays[1:] @ crop.R_crop_camera.T
    sides[:, 2] = np.maximum(sides[:, 2], 1e-3)
    on_plane = np.clip(project(sides, np.eye(3)), -_MAX_TANGENT, _MAX_TANGENT)
    extent = max(
        float(np.linalg.norm(on_plane[1] - on_plane[0])),
        float(np.linalg.norm(on_plane[3] - on_plane[2])),
    )
    widest = input_size / (2 * _MAX_TANGENT)
    return View(rays[0], max(fill_px / extent, widest))
