"""sensor_msgs/Image to an RGB array, without a copy where none is needed.

Most encodings are converted here, some by the cv_bridge of a ROS installation: see
`cv_bridge_conversion`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_ros import cv_bridge_conversion

if TYPE_CHECKING:
    from sensor_msgs.msg import Image


Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class _Encoding:
    """How the rows of an encoding are laid out, and what makes RGB of them."""

    channels: int
    dtype: type[np.uint8] | type[np.uint16] = np.uint8
    to_rgb: int | None = None
    """OpenCV colour conversion; None if the array is RGB already."""
    even_width: bool = False
    chroma_rows: bool = False
    """Half as many rows again follow the image (NV12, NV21)."""


# OpenCV names a Bayer pattern by the second and third pixel of the second row, ROS by the first two
# rows: BayerBG is rggb.
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}
_COLOR = {
    "rgb": (3, None),
    "bgr": (3, cv2.COLOR_BGR2RGB),
    "rgba": (4, cv2.COLOR_RGBA2RGB),
    "bgra": (4, cv2.COLOR_BGRA2RGB),
    "mono": (1, cv2.COLOR_GRAY2RGB),
}
_ENCODINGS: dict[str, _Encoding] = {
    **{f"{name}8": _Encoding(n, np.uint8, code) for name, (n, code) in _COLOR.items()},
    **{f"{name}16": _Encoding(n, np.uint16, code) for name, (n, code) in _COLOR.items()},
    **{f"bayer_{name}8": _Encoding(1, np.uint8, code) for name, code in _BAYER.items()},
    **{f"bayer_{name}16": _Encoding(1, np.uint16, code) for name, code in _BAYER.items()},
    **{
        name: _Encoding(2, np.uint8, cv2.COLOR_YUV2RGB_UYVY, even_width=True)
        for name in ("uyvy", "yuv422")
    },
    **{
        name: _Encoding(2, np.uint8, cv2.COLOR_YUV2RGB_YUY2, even_width=True)
        for name in ("yuyv", "yuv422_yuy2")
    },
    "nv12": _Encoding(1, np.uint8, cv2.COLOR_YUV2RGB_NV12, even_width=True, chroma_rows=True),
    "nv21": _Encoding(1, np.uint8, cv2.COLOR_YUV2RGB_NV21, even_width=True, chroma_rows=True),
}

ENCODINGS = tuple(sorted(_ENCODINGS))
"""Values of sensor_msgs/Image.encoding that `image_to_rgb` understands."""
DEPTHS = ("16uc1", "32fc1")
"""Encodings of depth images (REP 118), in lower case."""
_SENSOR_BITS = (10, 12, 14, 16)
"""What cameras measure with, beyond 8 bits."""


def image_to_rgb(message: Image, *, may_delegate: bool = True) -> NDArray[np.uint8]:
    """Pixels of an image message as RGB, shape (height, width, 3).

    16-bit values are scaled as `to_8_bit` says. The result may share memory with the message.

    Args:
        message: of one of `ENCODINGS`.
        may_delegate: whether cv_bridge may convert what it converts alike.

    Raises:
        ValueError: unknown encoding, or data that does not have the size that the header promises.
    """
    name = message.encoding.lower()
    encoding = _ENCODINGS.get(name)
    if name in DEPTHS:
        raise ValueError(
            f"Image must show colours or grey, its encoding '{message.encoding}' is that of a "
            "depth image. Remap 'image' to the camera's colour image."
        )
    if encoding is None:
        raise ValueError(
            f"Image encoding '{message.encoding}' is not supported, expected one of "
            f"{', '.join(ENCODINGS)}. Convert the image before it reaches this node."
        )
    pixels = _pixels(message, encoding)
    is_plain = pixels.flags.c_contiguous and not message.is_bigendian
    if may_delegate and is_plain and cv_bridge_conversion.serves(name):
        return cv_bridge_conversion.convert(message)
    if encoding.channels == 4 and encoding.to_rgb is not None:  # not the range of transparency
        return to_8_bit(_converted(pixels, encoding.to_rgb))
    pixels = to_8_bit(pixels)
    return pixels if encoding.to_rgb is None else _converted(pixels, encoding.to_rgb)


def bayer_to_rgb(mosaic: Pixels, encoding: str) -> NDArray[np.uint8]:
    """Colours behind a Bayer filter, shape (H, W, 3).

    Args:
        mosaic: one value a pixel, shape (H, W).
        encoding: `bayer_rggb8` and so on.
    """
    pattern = encoding[len("bayer_") :].rstrip("0123456789")
    if pattern not in _BAYER:
        raise ValueError(
            f"Bayer pattern must be one of {', '.join(_BAYER)}, got '{encoding}'. Convert the "
            "image before it reaches this node."
        )
    return _converted(to_8_bit(mosaic), _BAYER[pattern])


def to_8_bit(values: Pixels) -> NDArray[np.uint8]:
    """Pixels of 8 bits as they are, those of 16 scaled from the range that the camera uses.

    Cameras measure with 10, 12, 14 or 16 bits, and most drivers leave them at the lower end of the
    16. No message says which, so it is the least of them that holds the brightest pixel.

    Args:
        values: shape (H, W[, 3]); without transparency, which has a range of its own.
    """
    if values.dtype == np.uint8:
        return values  # type: ignore[return-value]
    brightest = int(values.max())
    full = next(2**bits - 1 for bits in _SENSOR_BITS if brightest < 2**bits)
    return np.asarray(cv2.convertScaleAbs(values, alpha=255 / full), np.uint8)


def _converted(pixels: Pixels, code: int) -> NDArray[np.uint8]:
    return cv2.cvtColor(pixels, code)  # type: ignore[return-value]


def _pixels(message: Image, encoding: _Encoding) -> Pixels:
    """The message's data as an array (rows, width[, channels]), without the padding of its rows."""
    height, width, step = message.height, message.width, message.step
    row_bytes = width * encoding.channels * np.dtype(encoding.dtype).itemsize
    rows = height + height // 2 if encoding.chroma_rows else height
    what = f"{width} x {height} {message.encoding} image"
    if width == 0 or height == 0:
        raise ValueError(f"Image must have pixels, got a {what}. Check the camera driver.")
    if encoding.even_width and (width % 2 or (encoding.chroma_rows and height % 2)):
        raise ValueError(
            f"Image size must be even for the encoding {message.encoding}, got a {what}. "
            "Check the camera driver."
        )
    if step < row_bytes:
        raise ValueError(
            f"Image step must be at least {row_bytes} bytes for a {what}, got {step}. "
            "step is the length of a row in bytes; check the camera driver."
        )
    if len(message.data) != rows * step:
        raise ValueError(
            f"Image data must have step * rows = {step} * {rows} = {rows * step} bytes for a "
            f"{what}, got {len(message.data)}. The image is truncated or its step is wrong."
        )
    padded = np.frombuffer(message.data, np.uint8).reshape(rows, step)
    pixels: Pixels = padded[:, :row_bytes]
    if encoding.dtype is np.uint16:
        order = ">u2" if message.is_bigendian else "<u2"
        pixels = np.ascontiguousarray(pixels).view(order).astype(np.uint16, copy=False)
    if encoding.channels == 1:
        return pixels
    shape, strides = (rows, width, encoding.channels), pixels.strides
    if pixels.flags.c_contiguous:
        whole = pixels.reshape(shape)
        whole.flags.writeable = False
        return whole
    pixel_bytes = encoding.channels * pixels.itemsize
    return np.lib.stride_tricks.as_strided(
        pixels, shape, (strides[0], pixel_bytes, pixels.itemsize), writeable=False
    )  # type: ignore[return-value]
