"""A given box is kept: what it says of an object's place and size, weighed against the network.

The mean bounding box of the category's objects, put where the network sees the object, has a box in
the image. Its differences from the given one, in place and in the logarithm of the size, are
measured with two errors: that of the given box, and that of the network (of the size: and of the
mean box). The most probable place and size lie between the two. Both errors have heavier tails than
a Gaussian: whoever is far from a detector's box looks at something else, so that the weight of the
network falls as the differences grow, as under Student's law.

Reference: Lange, Little, Taylor, "Robust statistical modeling using the t distribution", JASA
84(408), 1989: the weight (of one step) is 1 / (1 + d^2 / nu), d the Mahalanobis distance.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.model import Extent
from kp3d_core.inference.view import Region, View

FloatArray = NDArray[np.float64]

_NU = 6.0
"""Degrees of freedom of Student's law: half of the weight is left at a distance of 2.4 standard
deviations."""
_CORNERS = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))
_EDGE_PX = 0.25
"""A side of a box so close to the edge of the image is cut off by it."""
_LEAST_DEPTH = 0.05
"""Of a corner before the camera, in units; what is nearer has no box in the image."""


@dataclass(frozen=True, eq=False)
class BoxMatch:
    """A given box compared with that of an object."""

    place_px: FloatArray
    """By how much the object's origin is to move to be most probable, (2,) [px]."""
    log_size: float
    """By how much the logarithm of its apparent size is to grow."""
    size_variance: float
    """Factor on the variance of that logarithm: what is known after the box over what before."""


def box_of(
    T_camera_object: FloatArray, unit_m: float, extent: Extent, camera: CameraModel
) -> FloatArray | None:
    """Edges (left, top, right, bottom) of the mean bounding box in the image [px].

    None where it is not before the camera. Arguments as of `match_box`.
    """
    corners = unit_m * _CORNERS * extent.half
    points = corners @ T_camera_object[:3, :3].T + T_camera_object[:3, 3]
    if points[:, 2].min() <= _LEAST_DEPTH * unit_m:
        return None
    uv = camera.project(points)
    return np.concatenate([uv.min(axis=0), uv.max(axis=0)])


def match_box(
    T_camera_object: FloatArray,
    unit_m: float,
    scale_std: float,
    region: Region,
    extent: Extent,
    camera: CameraModel,
) -> BoxMatch | None:
    """Compare a given box with the object as the network sees it.

    Sides that the edge of the image cuts off tell nothing of the size, nor of the place across.

    Args:
        T_camera_object: pose [m, or model units].
        unit_m: metres per model unit; 1 if the pose is in model units.
        scale_std: standard deviation of the logarithm of the apparent size.
        region: the box, with its error.
        extent: mean bounding box of the category.
        camera: of the image.

    Returns:
        None if the region is no box, all of its sides are cut off, or the object is not before the
        camera.
    """
    if not math.isfinite(region.error):
        return None
    seen = box_of(T_camera_object, unit_m, extent, camera)
    size = np.array([region.width, region.height])
    low = np.array([region.x, region.y])
    edge = np.array([camera.width, camera.height]) - 0.5
    whole = (low > -0.5 + _EDGE_PX) & (low + size < edge - _EDGE_PX)
    if seen is None or not whole.any():
        return None
    place = np.where(whole, low + size / 2 - (seen[:2] + seen[2:]) / 2, 0.0)
    log_size = float(np.log(size / np.maximum(seen[2:] - seen[:2], 1e-6))[whole].mean())
    given_place, seen_place = region.error**2, extent.place_std**2
    given_size = region.error**2 / int(whole.sum()) + extent.size_std**2
    seen_size = scale_std**2
    square = float(np.sum((place / size) ** 2)) / (given_place + seen_place)
    square += log_size**2 / (given_size + seen_size)
    weight = 1 / (1 + square / _NU)
    keep_place = 1 - weight * given_place / (given_place + seen_place)
    gain, variance = 0.0, seen_size
    if math.isfinite(given_size):
        gain = 1 - weight * given_size / (given_size + seen_size)
        variance = (1 - gain) ** 2 * seen_size + gain**2 * given_size
    return BoxMatch(
        keep_place * place,
        gain * log_size,
        variance / max(seen_size, 1e-12),
    )


def kept_view(
    view: View, T_camera_object: FloatArray, match: BoxMatch, camera: CameraModel
) -> View:
    """The next view of an object where the box lets it be.

    Args:
        view: next view by the network alone, centred on the object's origin.
        T_camera_object: pose by the network alone.
        match: of the box.
        camera: of the image.
    """
    if T_camera_object[2, 3] <= 0:
        return view
    origin = camera.project(T_camera_object[None, :3, 3])[0] + match.place_px
    return View(camera.rays(origin[None])[0], view.focal_px * math.exp(-match.log_size))
