"""Depth images to metres."""

from __future__ import annotations

import array

import numpy as np
import pytest
from sensor_msgs.msg import Image

from kp3d_ros.depth_conversion import depth_to_metres, require_plausible, require_registered


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


def test_millimetres_as_floats_are_refused() -> None:
    depth = np.linspace(350, 4000, 64 * 48, dtype=np.float32).reshape(48, 64)

    with pytest.raises(ValueError, match="in metres .32FC1.*nine pixels of ten beyond 395 m"):
        require_plausible(depth)
    # An outdoor scene with a sky at 1 km, in metres, is none of that; nor are few pixels or none.
    depth[:, :] = 1000
    depth[-20:] = 8
    require_plausible(depth)
    require_plausible(np.full((48, 64), np.nan, np.float32))


@pytest.mark.parametrize("size_wh", [(640, 480), (320, 240), (1280, 960), (321, 240)])
@pytest.mark.parametrize("frame", ["camera", "/camera", ""])
def test_registered_depth(size_wh: tuple[int, int], frame: str) -> None:
    depth = Image(width=size_wh[0], height=size_wh[1])
    depth.header.frame_id = frame

    require_registered(depth, "camera", (640, 480))


def test_depth_that_is_not_registered() -> None:
    depth = Image(width=640, height=480)
    depth.header.frame_id = "camera_depth_optical_frame"
    with pytest.raises(ValueError, match="in frame 'color', got one in frame 'camera_depth_opt"):
        require_registered(depth, "color", (640, 480))
    depth.header.frame_id = "color"
    with pytest.raises(ValueError, match="image of 1280 x 720 pixels.*got 640 x 480.*aligned"):
        require_registered(depth, "color", (1280, 720))


def test_wrong_messages() -> None:
    with pytest.raises(ValueError, match="must be 32FC1 .* or 16UC1 .*, got 'rgb8'"):
        depth_to_metres(Image(encoding="rgb8"))
    short = message(np.zeros((2, 2), "<u2"), "16UC1")
    short.height = 3
    with pytest.raises(ValueError, match="got step 4 and 8 bytes"):
        depth_to_metres(short)
