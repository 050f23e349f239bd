"""What a planner knows of mugs besides the node's answer: their proportions, and that they stand.

The table is at z = 0 of the arm's base.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kp3d_core.geometry.rotation import exp_rotation, transform_points
from kp3d_ros.demo.grasp.bullet import FloatArray
from kp3d_ros.demo.grasp.grasps import Estimate, rim_of

HALF_EXTENT = np.array([0.988, 0.718, 0.747])
"""Of the box of a mug, in halves of its longest dimension: mean of 200 mugs of the generator."""
HALF_HEIGHT_STD = 0.151
"""Standard deviation of the last of them."""
_TOP_STD_M = 0.004
"""Of a height that depth images tell."""
_TABLE_STD_M = 0.002
"""Of the table's height: none is level to a hair, and a body sinks a little into it."""
_AROUND_M = 0.012
"""Points this far outside of the vessel still are the rim's."""
_FEWEST = 20
_FAR = 4.0
"""Standard deviations by which a mug may seem to float or to sink before it counts as no mug."""


def with_proportions(mug: Estimate, unit_m: float) -> Estimate:
    """The mug with a box of a mean mug: that of a detection only holds the keypoints.

    Args:
        mug: seen by the node.
        unit_m: half its longest dimension [m].
    """
    return replace(
        mug,
        box_center=np.zeros(3),
        box_size=2 * unit_m * HALF_EXTENT,
        top_std=unit_m * HALF_HEIGHT_STD,
    )


def measured_top(mug: Estimate, points_base: FloatArray) -> float | None:
    """Height of the rim over the table in points of a depth image; None if too few are there [m].

    Args:
        mug: as the node sees it.
        points_base: in the frame of the arm's base, shape (N, 3) [m].
    """
    axis, radius, _ = rim_of(mug)
    center = transform_points(mug.T_base_mug, axis[None])[0]
    away = np.linalg.norm(points_base[:, :2] - center[:2], axis=1)
    heights = points_base[(away < radius + _AROUND_M) & (points_base[:, 2] > 0.02), 2]
    if len(heights) < _FEWEST:
        return None
    return float(np.percentile(heights, 97))


def standing(mug: Estimate, top_m: float | None) -> Estimate | None:
    """The mug moved so that it stands on the table, as far as its covariance lets it.

    What one image tells worst is the distance along the ray; seen from above, the height over the
    table tells it.

    Args:
        mug: as the node sees it.
        top_m: height of its rim as measured; None if only the proportions tell it [m].

    Returns:
        None if it would have to move further than its covariance allows: it is not what it seems.
    """
    height = top_m if top_m is not None else float(mug.box_size[2])
    std = _TOP_STD_M if top_m is not None else mug.top_std
    covariance = mug.covariance
    missing = height / 2 - float(mug.T_base_mug[2, 3])
    variance = float(covariance[2, 2]) + std**2 + _TABLE_STD_M**2
    if abs(missing) > _FAR * np.sqrt(variance):
        return None
    gain = covariance[:, 2] / variance
    T = mug.T_base_mug.copy()
    T[:3, 3] += gain[:3] * missing
    T[:3, :3] = exp_rotation(gain[3:] * missing) @ T[:3, :3]
    left = covariance - np.outer(gain, covariance[2])
    size = mug.box_size.copy()
    size[2] = 2 * (height - T[2, 3])  # its top stays where it was measured
    return replace(
        mug,
        T_base_mug=T,
        covariance=(left + left.T) / 2,
        box_size=size,
        top_std=std if top_m is None else _TOP_STD_M,
    )
