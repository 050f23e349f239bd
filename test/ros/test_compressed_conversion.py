"""Compressed images."""

from __future__ import annotations

import array
import struct

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage

from kp3d_ros.compressed_conversion import compressed_to_rgb

RNG = np.random.default_rng(0)
SMOOTH = cv2.GaussianBlur(RNG.integers(0, 255, (48, 64, 3), dtype=np.uint8), (0, 0), 5)


def message(image: np.ndarray, suffix: str = ".png", *options: int) -> CompressedImage:
    ok, data = cv2.imencode(suffix, image, options)
    assert ok
    return CompressedImage(format=suffix[1:], data=array.array("B", data.tobytes()))


def test_png_is_exact_and_red_stays_red() -> None:
    bgr = SMOOTH.copy()
    bgr[:, :, 2] = 250

    np.testing.assert_array_equal(compressed_to_rgb(message(bgr)), bgr[:, :, ::-1])


@pytest.mark.parametrize("progressive", [0, 1])
def test_jpeg(progressive: int) -> None:
    sent = message(SMOOTH, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    sent.data.extend(bytes(16))  # drivers send their whole buffer

    rgb = compressed_to_rgb(sent)

    assert np.abs(rgb.astype(int) - SMOOTH[:, :, ::-1]).mean() < 2


def test_grey_becomes_rgb() -> None:
    rgb = compressed_to_rgb(message(SMOOTH[:, :, 0]))

    np.testing.assert_array_equal(rgb, np.repeat(SMOOTH[:, :, :1], 3, axis=2))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("codec", ["jpeg", "png"])
def test_mosaic_of_a_bayer_filter_gets_its_colours(pattern: str, codec: str) -> None:
    # As compressed_image_transport sends bayer images: one channel, not converted before.
    red = np.zeros((48, 64), np.uint8)
    first = pattern.index("r")
    red[first // 2 :: 2, first % 2 :: 2] = 200
    quality = (cv2.IMWRITE_JPEG_QUALITY, 100) if codec == "jpeg" else ()
    sent = message(red, f".{codec}", *quality)
    sent.format = f"bayer_{pattern}8; {codec} compressed "

    rgb = compressed_to_rgb(sent)

    inner = rgb[8:-8, 8:-8].reshape(-1, 3)
    assert inner.min(axis=0)[0] > 190
    assert inner.max(axis=0)[1:].max() < 10


def test_bayer_image_that_was_converted_before_is_left_alone() -> None:
    # Later versions send grey, or a driver colours; the file says which by its channels.
    grey = message(SMOOTH[:, :, 0])
    grey.format = "bayer_rggb8; png compressed mono8"
    coloured = message(SMOOTH)
    coloured.format = "bayer_rggb8; png compressed bgr8"

    np.testing.assert_array_equal(compressed_to_rgb(grey), np.repeat(SMOOTH[:, :, :1], 3, axis=2))
    np.testing.assert_array_equal(compressed_to_rgb(coloured), SMOOTH[:, :, ::-1])


def test_unknown_bayer_pattern() -> None:
    sent = message(SMOOTH[:, :, 0])
    sent.format = "bayer_rgbw8; png compressed "

    with pytest.raises(ValueError, match="pattern must be one of rggb.*got 'bayer_rgbw8'"):
        compressed_to_rgb(sent)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_of_16_bits(bits: int, channels: int) -> None:
    # Exactly as bright as 8 bits, from any depth of sensor.
    values = np.rint(SMOOTH[:, :, :channels] / SMOOTH.max() * (2**bits - 1)).astype(np.uint16)
    values[0, 0] = 2**bits - 1
    sent = message(values)
    sent.format = f"{'mono16' if channels == 1 else 'rgb16'}; png compressed bgr16"

    rgb = compressed_to_rgb(sent)

    expected = np.repeat(values, 3 // channels, axis=2)[:, :, ::-1] / (2**bits - 1) * 255
    assert np.abs(rgb - expected).max() <= 0.51


@pytest.mark.parametrize("kind", ["16UC1; compressedDepth png", "32FC1; compressedDepth", "16UC1"])
def test_depth_images_are_refused_by_name(kind: str) -> None:
    sent = message(SMOOTH[:, :, 0])
    sent.format = kind if ";" in kind else f"{kind}; png compressed "
    sent.data = array.array("B", bytes(12)) + sent.data  # the header of compressedDepth

    with pytest.raises(ValueError, match=f"'{kind}.*that of a depth image. Remap 'image'"):
        compressed_to_rgb(sent)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.95])
def test_truncated(suffix: str, part: float) -> None:
    sent = message(SMOOTH, suffix)
    sent.data = sent.data[: int(len(sent.data) * part)]

    with pytest.raises(ValueError, match="truncated|whole header"):
        compressed_to_rgb(sent)


def test_damaged() -> None:
    sent = message(SMOOTH)
    for i in range(40, len(sent.data) - 20):
        sent.data[i] ^= 0x5A

    with pytest.raises(ValueError, match="cannot be decoded"):
        compressed_to_rgb(sent)


def test_absurd_size_is_refused_before_decoding() -> None:
    sent = message(SMOOTH)
    sent.data[16:24] = array.array("B", struct.pack(">II", 2_000_000, 2_000_000))

    with pytest.raises(ValueError, match="its header says 2000000 x 2000000"):
        compressed_to_rgb(sent)


def test_other_formats() -> None:
    with pytest.raises(ValueError, match="must be a JPEG or PNG.*start with 42 4d"):
        compressed_to_rgb(message(SMOOTH, ".bmp"))
