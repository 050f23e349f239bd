"""Every encoding by cv_bridge and by the node's own code, in a Python that has cv_bridge.

`python cv_bridge_judge.py` prints a JSON object: encoding -> kind of message -> result, which is
the largest difference of a pixel, or the name of the exception that cv_bridge raised.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
from cv_bridge import CvBridge

from kp3d_ros import cv_bridge_conversion
from kp3d_ros.image_conversion import ENCODINGS, image_to_rgb

WIDTH, HEIGHT = 64, 48


def message(encoding: str, bits: int, *, padding: int = 0, big_endian: bool = False) -> Any:
    """An image of noise.

    Args:
        encoding: of `ENCODINGS`.
        bits: so many of a value are used.
        padding: bytes after each row.
        big_endian: order of the bytes of a value.
    """
    rows = HEIGHT * 3 // 2 if encoding in ("nv12", "nv21") else HEIGHT
    values = np.random.default_rng(0).integers(0, 2**bits, (rows, WIDTH * channels(encoding)))
    deep = np.dtype(">u2" if big_endian else "<u2")
    pixels = values.astype(deep if encoding.endswith("16") else np.uint8)
    data = np.pad(pixels.view(np.uint8), ((0, 0), (0, padding)))
    return SimpleNamespace(
        width=WIDTH,
        height=HEIGHT,
        encoding=encoding,
        step=data.shape[1],
        is_bigendian=int(big_endian),
        data=data.ravel(),  # as the node views the bytes of a message
    )


def channels(encoding: str) -> int:
    """Values a pixel."""
    if encoding.startswith(("rgb", "bgr")):
        return 4 if "a" in encoding else 3
    return 2 if encoding.startswith(("uyvy", "yuyv", "yuv422")) else 1


def difference(sent: Any) -> int | str:
    """Largest difference of a value, 0..255, or what cv_bridge raised."""
    own = image_to_rgb(sent, may_delegate=False)
    try:
        other = CvBridge().imgmsg_to_cv2(sent, "rgb8")
    except Exception as error:
        return type(error).__name__
    return int(np.abs(other.astype(int) - own).max()) if other.shape == own.shape else "shape"


def results(encoding: str) -> dict[str, int | str]:
    """How far cv_bridge is from the node's own code, and the node from it."""
    bits = 16 if encoding.endswith("16") else 8
    found = {
        "plain": difference(message(encoding, bits)),
        "big-endian": difference(message(encoding, bits, big_endian=True)),
        "padded by a byte": difference(message(encoding, bits, padding=1)),
        "10 bits": difference(message(encoding, 10)) if bits == 16 else 0,
    }
    for kind, padding in (("plain", 0), ("padded by a byte", 1)):
        sent = message(encoding, bits, padding=padding)
        answer = image_to_rgb(sent).astype(int)
        own = image_to_rgb(sent, may_delegate=False)
        found[f"node, {kind}"] = int(np.abs(answer - own).max())
    return found


def main() -> None:
    """Print all results, and which encodings `image_to_rgb` has left to cv_bridge."""
    calls: list[str] = []
    convert = cv_bridge_conversion.convert

    def counted(sent: Any) -> Any:
        calls.append(sent.encoding)
        return convert(sent)

    cv_bridge_conversion.convert = counted
    print(json.dumps({"results": {e: results(e) for e in ENCODINGS}, "by_cv_bridge": calls}))


if __name__ == "__main__":
    main()
