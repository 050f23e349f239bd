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
