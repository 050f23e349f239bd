"""sensor_msgs/Image to RGB, with OpenCV as the judge."""

from __future__ import annotations

import array
from typing import Any

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image

from kp3d_ros.image_conversion import ENCODINGS, image_to_rgb

WIDTH, HEIGHT = 10, 6
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
GRAY = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)
YUV = np.random.default_rng(1).integers(16, 236, (HEIGHT, WIDTH, 2)).astype(np.uint8)
NV12 = np.random.default_rng(2).integers(16, 236, (HEIGHT * 3 // 2, WIDTH)).astype(np.uint8)
ALPHA = np.full_like(GRAY, 77)[..., None]

COLOR = {
    "rgb8": (RGB, RGB),
    "bgr8": (RGB[..., ::-1], RGB),
    "rgba8": (np.concatenate([RGB, ALPHA], axis=2), RGB),
    "bgra8": (np.concatenate([RGB[..., ::-1], ALPHA], axis=2), RGB),
    "mono8": (GRAY, np.repeat(GRAY[..., None], 3, axis=2)),
    "bayer_rggb8": (GRAY, cv2.cvtColor(GRAY, cv2.COLOR_BayerBG2RGB)),
    "bayer_bggr8": (GRAY, cv2.cvtColor(GRAY, cv2.COLOR_BayerRG2RGB)),
    "bayer_gbrg8": (GRAY, cv2.cvtColor(GRAY, cv2.COLOR_BayerGR2RGB)),
    "bayer_grbg8": (GRAY, cv2.cvtColor(GRAY, cv2.COLOR_BayerGB2RGB)),
    "uyvy": (YUV, cv2.cvtColor(YUV, cv2.COLOR_YUV2RGB_UYVY)),
    "yuv422": (YUV, cv2.cvtColor(YUV, cv2.COLOR_YUV2RGB_UYVY)),
    "yuyv": (YUV, cv2.cvtColor(YUV, cv2.COLOR_YUV2RGB_YUY2)),
    "yuv422_yuy2": (YUV, cv2.cvtColor(YUV, cv2.COLOR_YUV2RGB_YUY2)),
    "nv12": (NV12, cv2.cvtColor(NV12, cv2.COLOR_YUV2RGB_NV12)),
    "nv21": (NV12, cv2.cvtColor(NV12, cv2.COLOR_YUV2RGB_NV21)),
}
# A 16-bit image with the value 257 v is exactly as bright as an 8-bit image with the value v.
DEEP = {
    f"{name[:-1]}16": (pixels.astype(np.uint16) * 257, rgb)
    for name, (pixels, rgb) in COLOR.items()
    if name.endswith("8") and not name.startswith("bayer")
}
CASES = {**COLOR, **DEEP}


def message(encoding: str, pixels: Any, padding: int = 0, big_endian: bool = False) -> Image:
    if pixels.dtype == np.uint16:
        pixels = pixels.astype(">u2" if big_endian else "<u2")
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=123)
    data = array.array("B", rows.tobytes())
    step = rows.shape[1]
    return Image(
        width=WIDTH, height=HEIGHT, encoding=encoding, step=step, data=data, is_bigendian=big_endian
    )


@pytest.mark.parametrize("padding", [0, 2, 14])
@pytest.mark.parametrize("encoding", CASES)
def test_matches_opencv(encoding: str, padding: int) -> None:
    pixels, expected = CASES[encoding]

    rgb = image_to_rgb(message(encoding, pixels, padding))

    assert rgb.dtype == np.uint8
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(rgb, expected)


@pytest.mark.parametrize("encoding", DEEP)
def test_big_endian(encoding: str) -> None:
    pixels, expected = CASES[encoding]

    rgb = image_to_rgb(message(encoding, pixels, padding=6, big_endian=True))

    np.testing.assert_array_equal(rgb, expected)


def test_bayer_pattern_starts_with_the_color_in_its_name() -> None:
    # A red scene through an RGGB filter: only the first pixel of each 2 x 2 block is bright.
    mosaic = np.zeros((HEIGHT, WIDTH), np.uint8)
    mosaic[::2, ::2] = 200

    rgb = image_to_rgb(message("bayer_rggb8", mosaic))

    assert rgb[2:4, 2:8, 0].min() == 200
    assert rgb[2:4, 2:8, 1:].max() == 0


def test_deep_bayer_matches_shallow_one() -> None:
    mosaic = np.zeros((HEIGHT, WIDTH), np.uint16)
    mosaic[::2, ::2] = 200 * 257

    rgb = image_to_rgb(message("bayer_rggb16", mosaic))

    assert rgb[2:4, 2:8, 0].min() == 200


@pytest.mark.parametrize("encoding", ["mono16", "rgb16", "bgra16", "bayer_rggb16"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_sensors_of_fewer_bits_than_their_image(encoding: str, bits: int) -> None:
    # The same picture by cameras of each depth, at the lower end of 16 bits as drivers leave it.
    channels = {"mono16": 1, "rgb16": 3, "bgra16": 4, "bayer_rggb16": 1}[encoding]
    shares = np.random.default_rng(3).uniform(0, 1, (HEIGHT, WIDTH, channels))
    shares[0, 0] = 1.0
    values = np.rint(shares * (2**bits - 1)).astype(np.uint16)
    if channels == 4:
        values[..., 3] = 65535  # opaque, whatever the depth of the colours

    rgb = image_to_rgb(message(encoding, values))

    shallow = np.rint(shares * 255).astype(np.uint8)
    expected = image_to_rgb(message(f"{encoding[:-2]}8", shallow))
    assert rgb.mean() > 80
    assert np.abs(rgb.astype(int) - expected).max() <= 1


def test_dark_image_of_10_bits_stays_dark() -> None:
    values = np.full((HEIGHT, WIDTH), 100, np.uint16)

    assert image_to_rgb(message("mono16", values)).max() == round(100 / 1023 * 255)


def test_every_encoding_is_tested() -> None:
    tested = {*CASES, *(f"bayer_{name}16" for name in ("rggb", "bggr", "gbrg", "grbg"))}

    assert tested == set(ENCODINGS)


def test_rgb_is_not_copied() -> None:
    image = message("rgb8", RGB)

    rgb = image_to_rgb(image)
    image.data[0] = 255 - RGB[0, 0, 0]

    assert rgb[0, 0, 0] == 255 - RGB[0, 0, 0]


def test_unknown_encoding() -> None:
    image = message("rgb8", RGB)
    image.encoding = "jpeg"

    with pytest.raises(
        ValueError, match=r"encoding 'jpeg' is not supported, expected one of .*bgr8"
    ):
        image_to_rgb(image)


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_image(encoding: str) -> None:
    image = message("mono16", RGB[..., 0].astype(np.uint16))
    image.encoding = encoding

    with pytest.raises(ValueError, match=f"'{encoding}' is that of a depth image. Remap 'image'"):
        image_to_rgb(image)


def test_step_shorter_than_a_row() -> None:
    image = message("rgb8", RGB)
    image.step = 29

    with pytest.raises(ValueError, match="step must be at least 30 bytes.*got 29"):
        image_to_rgb(image)


def test_step_that_does_not_fit_the_data() -> None:
    image = message("rgb8", RGB)
    image.step = 32

    with pytest.raises(ValueError, match=r"32 \* 6 = 192 bytes.*got 180.*step is wrong"):
        image_to_rgb(image)


def test_truncated_data() -> None:
    image = message("mono8", GRAY)
    image.data = image.data[:-1]

    with pytest.raises(ValueError, match="60 bytes for a 10 x 6 mono8 image, got 59.*truncated"):
        image_to_rgb(image)


def test_no_pixels() -> None:
    with pytest.raises(ValueError, match="must have pixels, got a 0 x 0 rgb8 image"):
        image_to_rgb(Image(encoding="rgb8"))


def test_odd_width_of_shared_chroma() -> None:
    image = message("yuyv", YUV)
    image.width = 9

    with pytest.raises(ValueError, match="size must be even for the encoding yuyv, got a 9 x 6"):
        image_to_rgb(image)
