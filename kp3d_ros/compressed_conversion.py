"""sensor_msgs/CompressedImage to an RGB array."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage

MAX_PIXELS = 64_000_000
"""Larger images are refused before memory is taken for them."""
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_JPEG_END, _PNG_END = b"\xff\xd9", b"IEND\xaeB`\x82"
_TAIL = 64
"""Drivers pad their buffers; the end mark must be within so many bytes of the end."""
# Frame headers of JPEG: SOF0 to SOF15 without DHT, JPG and DAC.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def compressed_to_rgb(message: CompressedImage) -> NDArray[np.uint8]:
    """Pixels of a JPEG or PNG image as RGB, shape (height, width, 3).

    Raises:
        ValueError: another format, a truncated or damaged image, or one of absurd size.
    """
    data = bytes(message.data)
    width, height = encoded_size(data)
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(
            f"Compressed image must have between 1 and {MAX_PIXELS} pixels, its header says "
            f"{width} x {height}. Check the camera driver."
        )
    end = _JPEG_END if data.startswith(_JPEG) else _PNG_END
    if end not in data[-_TAIL:]:
        raise ValueError(
            f"Compressed image must have an end mark, its {len(data)} bytes have none: the image "
            "is truncated. Check the network and the size of the camera's buffers."
        )
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None or image.shape != (height, width, 3):
        raise ValueError(
            f"Compressed image ('{message.format}', {width} x {height}, {len(data)} bytes) cannot "
            "be decoded: it is damaged. Check the camera driver."
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def encoded_size(data: bytes) -> tuple[int, int]:
    """Width and height from the header of a JPEG or PNG image [px].

    Raises:
        ValueError: it is neither, or has no whole header.
    """
    size = None
    if data.startswith(_PNG) and len(data) >= 24:
        size = struct.unpack(">II", data[16:24])
    elif data.startswith(_JPEG):
        size = _jpeg_size(data)
    if size is None:
        raise ValueError(
            f"Compressed image must be a JPEG or PNG with a whole header, got {len(data)} bytes "
            f"that start with {data[:4].hex(' ')}. Set the publisher's format to jpeg or png."
        )
    return size[0], size[1]


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        if marker in _SOF:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
