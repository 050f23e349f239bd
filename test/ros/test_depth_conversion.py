"""Depth images to metres."""

from __future__ import annotations

import array

import numpy as np
import pytest
from sensor_msgs.msg import Image

from kp3d_ros.depth_conversion import depth_to_metres


def message(values: np.ndarray, encoding: str, padding: int = 0, **fields: int) -> Image:
    height, width = values.shape
    rows = values.view(np.uint8).reshape(height, -1)
    data = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    image = Image(height=height, width=width, encoding=encoding, step=data.shape[1], **fields)
    image.data = array.array("B", data.tobytes())
    return image


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("order", ["<", ">"])
def test_millimetres(padding: int, order: str) -> None:
    values = np.array([[1500, 0], [65535, 1]], f"{order}u2")

    depth_m = depth_to_metres(message(values, "16UC1", padding, is_bigendian=int(order == ">")))

    np.testing.assert_allclose(depth_m, [[1.5, np.nan], [65.535, 0.001]], rtol=1e-6)


def test_metres() -> None:
    values = np.array([[1.5, np.nan, np.inf], [-1.0, 0.0, 2.25]], "<f4")

    depth_m = depth_to_metres(message(values, "32FC1", 4))

    np.testing.assert_array_equal(depth_m, [[1.5, np.nan, np.nan], [np.nan, np.nan, 2.25]])


def test_wrong_messages() -> None:
    with pytest.raises(ValueError, match="must be 32FC1 .* or 16UC1 .*, got 'rgb8'"):
        depth_to_metres(Image(encoding="rgb8"))
    short = message(np.zeros((2, 2), "<u2"), "16UC1")
    short.height = 3
    with pytest.raises(ValueError, match="got step 4 and 8 bytes"):
        depth_to_metres(short)
