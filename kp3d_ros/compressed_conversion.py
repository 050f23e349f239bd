"""sensor_msgs/CompressedImage to an RGB array.

Reference: compressed_image_transport of ros-perception/image_transport_plugins, which writes
`<encoding>; <jpeg|png> compressed <encoding in the file>` into `format`, the last part only if it
has converted the image.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_ros.image_conversion import DEPTHS, Pixels, bayer_to_rgb, to_8_bit

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

    What `format` says is in the file decides how it is read: colours, the mosaic of a Bayer filter,
    or 16 bits, which are scaled as `image_conversion.to_8_bit` says.

    Raises:
        ValueError: another format, a depth image, a truncated or damaged image, or one of absurd
            size.
    """
    encoding, inside = _encodings(message.format)
    if inside == "depth" or encoding in DEPTHS:
        raise ValueError(
            f"Compressed image must show colours or grey, its format '{message.format}' is that of "
            "a depth image. Remap 'image' to the camera's colour image."
        )
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
    image = _decode(data)
    if image is None or image.shape[:2] != (height, width):
        raise ValueError(
            f"Compressed image ('{message.format}', {width} x {height}, {len(data)} bytes) cannot "
            "be decoded: it is damaged. Check the camera driver."
        )
    if image.ndim == 3:
        return np.asarray(cv2.cvtColor(to_8_bit(image), cv2.COLOR_BGR2RGB), np.uint8)
    if encoding.startswith("bayer_") and not inside:
        return bayer_to_rgb(image, encoding)
    return np.asarray(cv2.cvtColor(to_8_bit(image), cv2.COLOR_GRAY2RGB), np.uint8)


def _encodings(text: str) -> tuple[str, str]:
    """Encoding of the image before compression, and the one in the file if that is another.

    Empty where `format` tells none. What is in the file is `depth` for `compressedDepth`.
    """
    encoding, _, codec = (part.strip().lower() for part in text.partition(";"))
    if codec.startswith("compresseddepth"):
        return encoding, "depth"
    return (encoding, codec.partition("compressed")[2].strip()) if codec else ("", "")


def _decode(data: bytes) -> Pixels | None:
    """The pixels, (H, W, 3) in OpenCV's order, or (H, W) without colour; None if unreadable."""
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)  # type: ignore[return-value]
    except cv2.error:
        return None


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
