"""Whether keypoints move with the image: a shift by k pixels ought to move each of them by k.

A convolution commutes with shifts; subsampling commutes only with multiples of its step, and the
zeros that surround an image tell a network where its border is. What is left of equivariance is
measured through the engine, on objects that stay inside the image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.predictions import over_black
from kp3d_core.geometry.symmetry import has_front
from kp3d_core.inference.engines import Engine

FloatArray = NDArray[np.float64]

MAX_SHIFT = 8
"""Largest shift [px of the model's input]."""
_AXES = {"u": 2, "v": 1}
"""Array axis of an image batch (B, S, S, 3) that each image axis is."""


def shift_images(images: NDArray[np.uint8], shift: int, axis: str) -> NDArray[np.uint8]:
    """Images (B, S, S, 3) moved right ("u") or down ("v") by whole pixels, black moving in."""
    array_axis = _AXES[axis]
    moved = np.roll(images, shift, axis=array_axis)
    edge = [slice(None)] * images.ndim
    edge[array_axis] = slice(0, shift)
    moved[tuple(edge)] = 0
    return moved


def views_with_room(views: ViewSet, axis: str, max_views: int) -> list[tuple[int, int]]:
    """Views (object, view) that stay inside when moved by `MAX_SHIFT`, from as many objects as can.

    The object may not touch the border of the image to begin with: what is cut off there is no
    shifted image of it.
    """
    found: list[tuple[int, int]] = []
    for view in range(views.rgba.shape[1]):
        covered = np.asarray(views.rgba[:, view, ..., 3] > 0)
        columns, rows = np.any(covered, axis=1), np.any(covered, axis=2)  # (I, S)
        along, across = (columns, rows) if axis == "u" else (rows, columns)
        room = ~along[:, 0] & ~along[:, -1 - MAX_SHIFT :].any(axis=1) & along.any(axis=1)
        room &= ~across[:, 0] & ~across[:, -1]
        found += [(int(i), view) for i in np.flatnonzero(room)]
        if len(found) >= max_views:
            break
    return found[:max_views]


def measure_equivariance(engine: Engine, views: ViewSet, max_views: int = 200) -> dict[str, Any]:
    """Distance between keypoints of a shifted image and shifted keypoints, by shift and axis.

    Returns:
        For "u" and "v": `views`, the number of them, and lists over shifts of 1 to `MAX_SHIFT`
        pixels: `mean_px` and `p95_px` of the distance over views and keypoints, `lag_px`, by how
        much keypoints stay behind on average [px of the model's input]; and `flag_changed`, the
        share of views in which front and back were swapped. They are left out of the others, which
        are None if nothing remains.
    """
    figures: dict[str, Any] = {}
    for axis in _AXES:
        chosen = views_with_room(views, axis, max_views)
        if not chosen:
            figures[axis] = {"views": 0}
            continue
        images = np.stack([over_black(views, i)[v] for i, v in chosen])
        can_swap = has_front(views.symmetry)
        figures[axis] = {"views": len(chosen)} | _by_shift(engine, images, axis, can_swap)
    return figures


def _by_shift(
    engine: Engine, images: NDArray[np.uint8], axis: str, can_swap: bool
) -> dict[str, Any]:
    still = engine.run(images)
    direction = np.array([1.0, 0.0] if axis == "u" else [0.0, 1.0])
    figures: dict[str, Any] = {name: [] for name in ("mean_px", "p95_px", "lag_px", "flag_changed")}
    for shift in range(1, MAX_SHIFT + 1):
        moved = engine.run(shift_images(images, shift, axis))
        same = (_flag(moved) == _flag(still)) | (not can_swap)
        expected = still["keypoints_uv"][same] + shift * direction
        error = moved["keypoints_uv"][same] - expected
        distance = np.linalg.norm(error, axis=-1)
        some = bool(same.any())
        figures["mean_px"].append(float(distance.mean()) if some else None)
        figures["p95_px"].append(float(np.percentile(distance, 95)) if some else None)
        figures["lag_px"].append(float(-(error @ direction).mean()) if some else None)
        figures["flag_changed"].append(float(1 - same.mean()))
    return figures


def _flag(outputs: dict[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Whether the front is right of the back, (B,)."""
    front, back = outputs["orientation_uv"][:, 0, 0], outputs["orientation_uv"][:, 1, 0]
    return np.asarray(front > back)
