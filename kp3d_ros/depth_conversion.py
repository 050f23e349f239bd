"""sensor_msgs/Image with depth to an array in metres (REP 118)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sensor_msgs.msg import Image

_FORMATS = {"32FC1": ("f4", 1.0), "16UC1": ("u2", 1e-3), "mono16": ("u2", 1e-3)}
"""Encoding -> type of a value, metres per unit."""


_ASPECT_TOLERANCE = 0.02
"""Half-size images of odd sizes differ by a pixel."""
_STEP = 8
"""Every so many rows and columns are enough to tell the unit."""
_NEAR_SHARE = 10.0
"""So many percent of the pixels are near: even outdoors, where the sky may be at any distance."""
_FARTHEST_NEAR_M = 300.0
"""Where those never all are: the values then are millimetres."""
_NEAREST_FAR_M = 0.03
"""Closer than any camera measures: the values then are metres."""


def require_registered(message: Image, frame_id: str, size_wh: tuple[int, int]) -> None:
    """Refuse a depth image whose pixels are not those of the image.

    A frame without a name may be any. Any resolution will do.

    Args:
        message: depth image.
        frame_id: camera frame of the image.
        size_wh: of the image [px].

    Raises:
        ValueError: it is from another frame, or shows another rectangle.
    """
    frame, image_frame = message.header.frame_id.lstrip("/"), frame_id.lstrip("/")
    if frame and image_frame and frame != image_frame:
        raise ValueError(
            f"Depth image must be registered to the image, in frame '{image_frame}', got one in "
            f"frame '{frame}': its scale is not used. Remap 'depth' to the camera's registered "
            "(aligned) depth."
        )
    width, height = size_wh
    if abs(message.width * height / max(message.height * width, 1) - 1) > _ASPECT_TOLERANCE:
        raise ValueError(
            f"Depth image must be registered to the image of {width} x {height} pixels, and have "
            f"its aspect ratio, got {message.width} x {message.height}: its scale is not used. "
            "Remap 'depth' to the camera's registered (aligned) depth."
        )


def depth_to_metres(message: Image) -> NDArray[np.float32]:
    """Depth along the optical axis [m], shape (height, width); NaN where it is not known.

    Raises:
        ValueError: an encoding that is no depth, or data of another size than the header promises.
    """
    if message.encoding not in _FORMATS:
        raise ValueError(
            f"Depth encoding must be 32FC1 (metres) or 16UC1 (millimetres), got "
            f"'{message.encoding}'. Remap 'depth' to the registered depth image."
        )
    kind, unit_m = _FORMATS[message.encoding]
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    height, width, step = message.height, message.width, message.step
    row_bytes = width * dtype.itemsize
    if not (height and width) or step < row_bytes or len(message.data) != step * height:
        raise ValueError(
            f"Depth image of {width} x {height} {message.encoding} must have rows of at least "
            f"{row_bytes} bytes and step * height bytes of data, got step {step} and "
            f"{len(message.data)} bytes. Check the camera driver."
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(height, step)[:, :row_bytes]
    values = np.ascontiguousarray(rows).view(dtype)
    depth_m = values.astype(np.float32) * np.float32(unit_m)
    depth_m[~(np.isfinite(depth_m) & (depth_m > 0))] = np.nan
    return depth_m


def require_plausible(depth_m: NDArray[np.float32]) -> None:
    """Refuse depths that can only be of another unit: for objects of unknown size.

    Args:
        depth_m: from `depth_to_metres`.

    Raises:
        ValueError: even what is near would be farther than robots see, or even what is far would
            be closer.
    """
    sample_m = depth_m[::_STEP, ::_STEP]
    known = sample_m[np.isfinite(sample_m)]
    if not known.size:
        return
    near_m, far_m = np.percentile(known, [_NEAR_SHARE, 100 - _NEAR_SHARE])
    if near_m > _FARTHEST_NEAR_M or far_m < _NEAREST_FAR_M:
        where = f"beyond {near_m:.0f}" if near_m > _FARTHEST_NEAR_M else f"closer than {far_m:.1g}"
        raise ValueError(
            "Depth must be in metres (32FC1) or millimetres (16UC1), got an image with nine "
            f"pixels of ten {where} m: its scale is not used. Check the publisher's unit (REP 118)."
        )
