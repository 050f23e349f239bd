"""Small images painted in object coordinates, to be projected onto surfaces."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.procedural.primitives import FloatArray, Points, Surface, Vector, textured

PANE_OPACITY = 0.35
"""Of car windows; `data.photographic` makes some clearer and some darker."""
_SUBPIXEL_BITS = 4
_LETTERS = np.array(list("ABCDEFGHIKLMNOPRSTUVXZ0123456789"))


def random_word(rng: np.random.Generator, length: int) -> str:
    """Letters and digits without meaning."""
    return "".join(rng.choice(_LETTERS, length))


def planar_projection(
    right: Vector,
    up: Vector,
    center: Vector,
    width: float,
    height: float,
) -> FloatArray:
    """Affine map from positions to uv in [0, 1] of a rectangle seen straight on.

    Args:
        right: unit vector along u, to the right as the viewer sees it.
        up: unit vector along v.
        center: position of the middle of the rectangle.
        width: extent along u.
        height: extent along v.

    Returns:
        Shape (2, 4), see `Surface.projection`.
    """
    rows = np.stack([np.asarray(right) / width, np.asarray(up) / height])
    offset = 0.5 - rows @ np.asarray(center, dtype=np.float64)
    return np.concatenate([rows, offset[:, None]], axis=1)


class Canvas:
    """An image addressed by 3D positions through the projection that maps it onto the object."""

    def __init__(self, projection: FloatArray, height: int, width: int, color: Vector) -> None:
        """Start with one colour.

        Args:
            projection: shape (2, 4), see `Surface.projection`.
            height: rows of the image.
            width: columns of the image.
            color: RGB in 0..1.
        """
        self.projection = projection
        # Opacity is drawn beside the colours, so that paint over a pane covers it.
        self._pixels: NDArray[np.uint8] = np.empty((height, width, 4), dtype=np.uint8)
        self._pixels[:] = _bytes(color)
        self.image: NDArray[np.uint8] = self._pixels[..., :3]

    def pixels(self, points: Points) -> FloatArray:
        """Pixel coordinates (column, row) of positions, shape (N, 2)."""
        uv = np.asarray(points, dtype=np.float64) @ self.projection[:, :3].T + self.projection[:, 3]
        height, width = self.image.shape[:2]
        return np.stack([uv[:, 0] * width - 0.5, (1.0 - uv[:, 1]) * height - 0.5], axis=-1)

    def fill(self, points: Points, color: Vector, opacity: float = 1.0) -> None:
        """Fill a polygon given by its corners; below an opacity of 1 it is a pane."""
        self.fill_pixels(self.pixels(points), color, opacity)

    def fill_pixels(self, pixels: FloatArray, color: Vector, opacity: float = 1.0) -> None:
        """Fill a polygon given in pixels (column, row)."""
        fixed = np.round(pixels * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        shown = _bytes(color, opacity)
        cv2.fillPoly(self._pixels, [fixed], shown, cv2.LINE_AA, _SUBPIXEL_BITS)

    def line(self, points: Points, color: Vector, width_px: int = 1) -> None:
        """Draw an open polyline."""
        fixed = np.round(self.pixels(points) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.polylines(
            self._pixels, [fixed], False, _bytes(color), width_px, cv2.LINE_AA, _SUBPIXEL_BITS
        )

    def ellipse(self, center: Vector, half_size_px: Vector, color: Vector) -> None:
        """Fill an axis-aligned ellipse."""
        angle = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
        middle = self.pixels(np.asarray(center)[None])[0]
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        self.fill_pixels(middle + circle * np.asarray(half_size_px), color)

    def text(self, words: str, center: Vector, width_px: float, color: Vector) -> None:
        """Write a line of text, centred, of a given width."""
        font = cv2.FONT_HERSHEY_DUPLEX
        (natural, _), _ = cv2.getTextSize(words, font, 1.0, 1)
        scale = width_px / max(natural, 1)
        (width, height), _ = cv2.getTextSize(words, font, scale, 1)
        middle = self.pixels(np.asarray(center)[None])[0]
        corner = (int(middle[0] - width / 2), int(middle[1] + height / 2))
        thickness = 2 if scale > 0.7 else 1
        # OpenCV writes no opacity beside the colours of text: what is written on is opaque.
        written = np.ascontiguousarray(self.image)
        cv2.putText(written, words, corner, font, scale, _bytes(color)[:3], thickness, cv2.LINE_AA)
        self._pixels[(written != self.image).any(axis=2), 3] = 255
        self.image[:] = written

    def surface(self, name: str) -> Surface:
        """The painted surface."""
        opacity = self._pixels[..., 3]
        panes = np.ascontiguousarray(opacity) if opacity.min() < 255 else None
        return textured(name, np.ascontiguousarray(self.image), self.projection, panes)


def _bytes(color: Vector, opacity: float = 1.0) -> tuple[int, int, int, int]:
    rgba = [*np.asarray(color, dtype=np.float64), opacity]
    red, green, blue, alpha = (int(round(255.0 * float(np.clip(c, 0.0, 1.0)))) for c in rgba)
    return red, green, blue, alpha
