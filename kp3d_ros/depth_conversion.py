"""sensor_msgs/Image with depth to an array in metres (REP 118)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sensor_msgs.msg import Image

_FORMATS = {"32FC1": ("f4", 1.0), "16UC1": ("u2", 1e-3), "mono16": ("u2", 1e-3)}
"""Encoding -> type of a value, metres per unit."""


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
