"""What stands on the table, from a depth image: columns of a grid, as boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.rotation import invert_transform, transform_points
from kp3d_ros.demo.grasp.bullet import FloatArray
from kp3d_ros.demo.grasp.grasps import Estimate

_CELL_M = 0.02
_LOW_M, _HIGH_M = 0.015, 0.3
"""Heights over the table between which points count."""
_REACH_M = 0.25
"""Points farther from the mug do not matter to the hand."""
_CLEAR_M = 0.012
"""Points this near to the mug's box are taken for the mug's own."""
_FEWEST = 4
"""Points in a cell below which they are noise."""


def points_of(depth_m: NDArray[np.float32], K: FloatArray, T_base_camera: FloatArray) -> FloatArray:
    """Points of a depth image in the frame of the arm's base, shape (N, 3) [m].

    Args:
        depth_m: along the optical axis, shape (H, W) [m]; 0 where nothing is measured.
        K: intrinsics of that image, shape (3, 3) [px].
        T_base_camera: pose of the camera.
    """
    every = 2
    v, u = np.mgrid[0 : depth_m.shape[0] : every, 0 : depth_m.shape[1] : every]
    z = depth_m[::every, ::every].astype(np.float64)
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones(z.shape)], -1)
    return transform_points(T_base_camera, (rays * z[..., None])[z > 0])


def boxes_from(points: FloatArray, mug: Estimate) -> list[tuple[FloatArray, FloatArray]]:
    """Boxes from the table up to the highest point seen in each cell of a grid.

    Args:
        points: in the frame of the arm's base, shape (N, 3) [m].
        mug: whose points are left out.

    Returns:
        Centre and half extent of each, shape (3,) each [m].
    """
    near = np.linalg.norm(points[:, :2] - mug.T_base_mug[:2, 3], axis=1) < _REACH_M
    points = points[near & (points[:, 2] > _LOW_M) & (points[:, 2] < _HIGH_M)]
    in_mug = transform_points(invert_transform(mug.T_base_mug), points) - mug.box_center
    points = points[(np.abs(in_mug) > mug.box_size / 2 + _CLEAR_M).any(axis=1)]
    if not len(points):
        return []
    cells, index, counts = np.unique(
        np.floor(points[:, :2] / _CELL_M).astype(int), axis=0, return_inverse=True,
        return_counts=True,
    )  # fmt: skip
    tops = np.zeros(len(cells))
    np.maximum.at(tops, index.ravel(), points[:, 2])
    return [
        (
            np.array([*((cell + 0.5) * _CELL_M), top / 2]),
            np.array([_CELL_M / 2, _CELL_M / 2, top / 2]),
        )
        for cell, top, count in zip(cells, tops, counts, strict=True)
        if count >= _FEWEST
    ]
