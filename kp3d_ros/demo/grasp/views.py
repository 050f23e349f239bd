"""From where the camera in the hand should look at something on the table."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from kp3d_core.geometry.rotation import invert_transform
from kp3d_ros.demo.grasp.bullet import FloatArray
from kp3d_ros.demo.grasp.cameras import looking_at

T_HAND_CAMERA = np.array(
    [[0.0, -1.0, 0.0, 0.065], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.02], [0.0, 0.0, 0.0, 1.0]]
)
"""Pose of the hand camera's optical frame: beside the gripper, looking where the fingers point."""
_DISTANCE_M = 0.36
_ELEVATIONS_DEG = (45, 60)
_AZIMUTHS_DEG = (180, 150, -150, 120, -120)
"""About the target; 0 looks from the side of the fixed camera, 180 from that of the arm."""


def second_views(target_m: FloatArray) -> Iterator[FloatArray]:
    """Poses `T_base_hand`, shape (4, 4), the most telling first.

    The fixed camera looks at the arm; what lies along its rays, which one image tells worst, is
    seen best from across.
    """
    for elevation_deg in _ELEVATIONS_DEG:
        for azimuth_deg in _AZIMUTHS_DEG:
            azimuth, elevation = math.radians(azimuth_deg), math.radians(elevation_deg)
            away = [
                math.cos(azimuth) * math.cos(elevation),
                math.sin(azimuth) * math.cos(elevation),
                math.sin(elevation),
            ]
            T_base_camera = looking_at(target_m + _DISTANCE_M * np.array(away), target_m)
            yield np.asarray(T_base_camera @ invert_transform(T_HAND_CAMERA))
