"""Where a parallel gripper can take a mug, from its pose, its box and its named keypoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kp3d_core.geometry.rotation import transform_points
from kp3d_ros.demo.grasp.bullet import OPEN_M, FloatArray

_INSERTION_M = 0.014
"""How far below the rim the middle of the fingertips goes."""
_DEEPER_M = 0.01
"""The most by which it goes deeper where the height of the rim is not known well."""
_WALL_M = 0.004
"""Thickness of a mug's wall; it is not seen from outside."""
_LOWEST_M = 0.012
"""Height above the table at which the fingertips' middle stays clear of it."""
_HANDLE_ZONE = math.radians(40)
"""No finger comes down on the handle: nearer to its direction than this the rim is not taken."""
_RIM_STEP = math.radians(15)


@dataclass(frozen=True)
class Estimate:
    """What is known of a mug, in the frame of the arm's base."""

    T_base_mug: FloatArray
    """Pose, x towards the handle, z up, shape (4, 4) [m]."""
    covariance: FloatArray
    """Of that pose, shape (6, 6): x, y, z, rotX, rotY, rotZ about the base's axes [m, rad]."""
    box_center: FloatArray
    """Middle of its box in its own frame, shape (3,) [m]."""
    box_size: FloatArray
    """Extent of that box along its own axes, shape (3,) [m]."""
    keypoints: Mapping[str, FloatArray]
    """By name, in its own frame, shape (3,) each [m]."""
    top_std: float = 0.0
    """Standard deviation of the height of its rim over its middle [m]."""


@dataclass(frozen=True)
class Tolerance:
    """Largest standard deviations with which a grasp still comes off."""

    across_m: float = 0.009
    """Along the line on which the fingers close: each is this far from the wall, times three."""
    along_m: float = 0.014
    """Along the rim, where a grasp may slide."""
    down_m: float = 0.011
    """The fingers are 45 mm long: the rim may be two of these higher or lower."""
    turn: float = math.radians(25)
    """About the upright axis: the handle must be where it is thought to be [rad]."""


@dataclass(frozen=True)
class Grasp:
    """A place for the gripper, which comes from above."""

    kind: str
    """"rim" or "handle"."""
    T_base_tcp: FloatArray
    """z down, y along the line on which the fingers close, shape (4, 4) [m]."""
    opening_m: float
    """Way of each finger before it closes."""
    strain: float
    """Largest standard deviation as a share of what the grasp bears."""


def grasps(mug: Estimate, tolerance: Tolerance) -> list[Grasp]:
    """Grasps across the rim all around, and across the handle, those that bear most first."""
    found = [*_rim_grasps(mug, tolerance), *_handle_grasps(mug, tolerance)]
    return sorted(found, key=lambda grasp: (grasp.kind != "rim", grasp.strain))


def spread(mug: Estimate, direction: FloatArray) -> float:
    """Standard deviation of the mug's place along a unit vector of the base's frame [m]."""
    variance = float(direction @ mug.covariance[:3, :3] @ direction)
    return math.sqrt(max(variance, 0.0))


def _rim_grasps(mug: Estimate, tolerance: Tolerance) -> list[Grasp]:
    axis, radius, top = rim_of(mug)
    found = []
    angles = np.arange(_HANDLE_ZONE, 2 * math.pi - _HANDLE_ZONE + 1e-6, _RIM_STEP)
    for angle in angles:
        out = np.array([math.cos(angle), math.sin(angle), 0.0])
        point = axis + (radius - _WALL_M / 2) * out
        point[2] = top - _INSERTION_M - min(mug.top_std, _DEEPER_M)
        for side in (1, -1):
            found.append(_from_above("rim", mug, tolerance, point, side * out))
    return found


def rim_of(mug: Estimate) -> tuple[FloatArray, float, float]:
    """Middle of the vessel (3,), radius and height of its rim, in the mug's frame [m].

    The box holds the handle, too, which stands out along x: the vessel is what is as long as the
    box is wide.
    """
    low, high = mug.box_center - mug.box_size / 2, mug.box_center + mug.box_size / 2
    widest = float(mug.box_size[1]) / 2
    axis = np.array([low[0] + widest, mug.box_center[1], mug.box_center[2]])
    rim = [
        point
        for name, point in mug.keypoints.items()
        if "high" in name and "front" not in name and point[2] > low[2] + 0.7 * mug.box_size[2]
    ]
    distances = [float(np.linalg.norm((point - axis)[:2])) for point in rim]
    outer = [distance for distance in distances if distance > 0.6 * widest]
    radius = min(float(np.mean(outer)), widest) if outer else widest
    return axis, radius, float(high[2])


def _handle_grasps(mug: Estimate, tolerance: Tolerance) -> list[Grasp]:
    """Across the handle from above, where it stands off farthest."""
    axis, radius, top = rim_of(mug)
    outer = mug.box_center[0] + mug.box_size[0] / 2
    if outer - (axis[0] + radius) < 0.015:  # no room for a fingertip, or no handle
        return []
    heights = [float(point[2]) for name, point in mug.keypoints.items() if "front" in name]
    height = float(np.mean(heights)) if heights else float(mug.box_center[2])
    point = np.array([outer - 0.006, mug.box_center[1], min(height, top)])
    return [
        _from_above("handle", mug, tolerance, point, np.array([0.0, side, 0.0]))
        for side in (1.0, -1.0)
    ]


def _from_above(
    kind: str, mug: Estimate, tolerance: Tolerance, point: FloatArray, across: FloatArray
) -> Grasp:
    """A grasp whose fingers close along a direction in the mug's frame."""
    T = np.eye(4)
    y = mug.T_base_mug[:3, :3] @ across
    y[2] = 0.0
    y /= np.linalg.norm(y)
    down = np.array([0.0, 0.0, -1.0])
    T[:3, :3] = np.column_stack([np.cross(y, down), y, down])
    T[:3, 3] = transform_points(mug.T_base_mug, point[None])[0]
    T[2, 3] = max(T[2, 3], _LOWEST_M)
    turn = math.sqrt(max(float(mug.covariance[5, 5]), 0.0))
    # A turn of the mug moves a point of its handle sideways; a round rim it moves along itself.
    lever = float(np.linalg.norm(point[:2])) * turn if kind == "handle" else 0.0
    shares = [
        math.hypot(spread(mug, y), lever) / tolerance.across_m,
        spread(mug, T[:3, 0]) / tolerance.along_m,
        math.hypot(spread(mug, down), mug.top_std) / tolerance.down_m,
        turn / tolerance.turn,
    ]
    return Grasp(kind, T, OPEN_M, max(shares))
