"""Things in front of the object that cover an exact share of its silhouette.

An occluder is a shape that grows: a field over the image says how far it must have grown to cover a
pixel. The share of the silhouette where the field is below a limit is then known for every limit,
and the limit for a wanted share is a quantile. Larger shares of one occluder contain the smaller.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]
"""How far the occluder must grow to reach each pixel [px], shape (H, W)."""
Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge of the silhouette [px]."""


def board(rng: np.random.Generator, shape_hw: tuple[int, int], box: Box) -> Field:
    """The edge of a wall that slides over the object from any side."""
    u, v = _offsets(shape_hw, box, (0.5, 0.5))
    angle = rng.uniform(0, 2 * np.pi)
    return np.cos(angle) * u + np.sin(angle) * v


def post(rng: np.random.Generator, shape_hw: tuple[int, int], box: Box) -> Field:
    """A post or a beam across the object, upright, lying or slanted, that grows thicker."""
    u, v = _offsets(shape_hw, box, (rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8)))
    angle = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.2)
    return np.abs(np.cos(angle) * u + np.sin(angle) * v)


def blob(rng: np.random.Generator, shape_hw: tuple[int, int], box: Box) -> Field:
    """A lump with a wavy outline before some part of the object."""
    u, v = _offsets(shape_hw, box, (rng.uniform(0, 1), rng.uniform(0, 1)))
    direction = np.arctan2(v, u)
    outline = 1 + sum(
        rng.uniform(0, 0.3) / k * np.cos(k * direction + rng.uniform(0, 2 * np.pi))
        for k in range(1, 6)
    )
    return np.hypot(u, v) / np.maximum(outline, 0.3)


KINDS: dict[str, Callable[[np.random.Generator, tuple[int, int], Box], Field]] = {
    "board": board,
    "post": post,
    "blob": blob,
}
"""Shapes of occluders."""


def cover_share(field: Field, silhouette: NDArray[np.bool_], share: float) -> NDArray[np.float32]:
    """Coverage 0..1 of each pixel by the occluder that hides `share` of the silhouette.

    Args:
        field: of the occluder, (H, W).
        silhouette: pixels of the object inside the image, (H, W), not empty.
        share: above 0, at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share}. Pass a fraction, not percent.")
    limit = float(np.quantile(field[silhouette], share))
    return np.clip(limit - field + 0.5, 0, 1).astype(np.float32)  # an edge of about one pixel


def put_before(
    image: NDArray[np.uint8], cover: NDArray[np.float32], texture: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The image (H, W, 3) with the occluder, painted with `texture`, in front."""
    mixed = cv2.blendLinear(texture, image, cover, 1 - cover)
    return np.asarray(mixed, dtype=np.uint8)


def _offsets(
    shape_hw: tuple[int, int], box: Box, place: tuple[float, float]
) -> tuple[Field, Field]:
    """Columns and rows of all pixels, counted from a place in the box (shares of its sides)."""
    left, top, right, bottom = box
    v, u = np.mgrid[: shape_hw[0], : shape_hw[1]].astype(np.float64)
    return u - (left + place[0] * (right - left)), v - (top + place[1] * (bottom - top))
