"""What the planner knows of the arm: inverse kinematics and collision checks, by PyBullet.

A world of its own, in which nothing stands but what the planner was told of by topics.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kp3d_core.geometry.rotation import invert_transform
from kp3d_ros.demo.grasp.bullet import (
    ARM,
    FINGERS,
    GRASP_LINK,
    HAND_LINK,
    HOME,
    OPEN_M,
    Bullet,
    FloatArray,
)
from kp3d_ros.rotations import quat_xyzw

_POSITION_TOLERANCE_M, _ROTATION_TOLERANCE = 0.001, 0.01
_MARGIN_M = 0.004
"""Closer than this to anything counts as a collision."""
_STEP_RAD = 0.08
"""Largest turn of a joint between two checked places of a path."""
_LIMITS = np.array(
    [
        [-2.85, 2.85], [-1.7, 1.7], [-2.85, 2.85], [-3.02, -0.1], [-2.85, 2.85], [0.02, 3.7],
        [-2.85, 2.85],
    ]
)  # fmt: skip
"""Of the joints, a little inside those of the arm [rad]."""
_FIRST_MOVING_LINK = 2
"""Links below it stand on the table."""


class Arm:
    """Kinematics of the arm among known obstacles."""

    def __init__(self) -> None:
        """Load it, with the table and no other obstacle."""
        self._bullet = Bullet()
        self._p = p = self._bullet.p
        self._arm = self._bullet.load_arm()
        box = p.createCollisionShape(p.GEOM_BOX, halfExtents=[0.65, 0.8, 0.05])
        self._table = p.createMultiBody(0, box, basePosition=[0.45, 0, -0.05])
        self._obstacles: list[int] = []
        self._rng = np.random.default_rng(0)

    def set_obstacles(self, boxes: Sequence[tuple[FloatArray, FloatArray]]) -> None:
        """What may not be touched besides the table.

        Args:
            boxes: centre and half extent of each, along the base's axes, shape (3,) each [m].
        """
        for body in self._obstacles:
            self._p.removeBody(body)
        self._obstacles = []
        for center, half in boxes:
            shape = self._p.createCollisionShape(self._p.GEOM_BOX, halfExtents=list(half))
            self._obstacles.append(self._p.createMultiBody(0, shape, basePosition=list(center)))

    def tcp(self, angles: FloatArray) -> FloatArray:
        """`T_base_tcp` of joint angles, shape (4, 4); the TCP lies between the fingertips."""
        self._set(angles, OPEN_M)
        return self._bullet.link(self._arm, GRASP_LINK)

    def hand(self, angles: FloatArray) -> FloatArray:
        """`T_base_hand` of joint angles, shape (4, 4)."""
        self._set(angles, OPEN_M)
        return self._bullet.link(self._arm, HAND_LINK)

    def angles_for(
        self, T_base_tcp: FloatArray, near: FloatArray, tries: int = 6
    ) -> FloatArray | None:
        """Joint angles that bring the TCP to a pose, shape (7,) [rad]; None if none were found.

        Args:
            T_base_tcp: where it should be.
            near: the search starts from these angles, and then from random ones.
            tries: how many starts.
        """
        quat = quat_xyzw(T_base_tcp[:3, :3])
        start = near
        for _ in range(tries):
            angles = start
            for _ in range(4):  # PyBullet's solver stops early; from there it goes on
                self._set(angles, OPEN_M)
                angles = np.array(
                    self._p.calculateInverseKinematics(
                        self._arm,
                        GRASP_LINK,
                        T_base_tcp[:3, 3].tolist(),
                        quat,
                        lowerLimits=_LIMITS[:, 0].tolist(),
                        upperLimits=_LIMITS[:, 1].tolist(),
                        jointRanges=(_LIMITS[:, 1] - _LIMITS[:, 0]).tolist(),
                        restPoses=HOME.tolist(),
                        maxNumIterations=100,
                        residualThreshold=1e-5,
                    )
                )[:7]
                if self._reaches(angles, T_base_tcp):
                    return angles
            start = HOME + self._rng.uniform(-0.6, 0.6, 7)
        return None

    def angles_for_hand(self, T_base_hand: FloatArray, near: FloatArray) -> FloatArray | None:
        """The same for a pose of the hand's frame."""
        T_hand_tcp = invert_transform(self.hand(near)) @ self.tcp(near)
        return self.angles_for(T_base_hand @ T_hand_tcp, near)

    def is_free(self, angles: FloatArray, opening_m: float) -> bool:
        """Whether the arm touches neither table nor obstacles.

        Args:
            angles: of the joints.
            opening_m: way of each finger.
        """
        self._set(angles, opening_m)
        for body in (self._table, *self._obstacles):
            for point in self._p.getClosestPoints(self._arm, body, _MARGIN_M):
                if point[3] >= _FIRST_MOVING_LINK:
                    return False
        return True

    def straight(
        self, T_from: FloatArray, T_to: FloatArray, start: FloatArray, step_m: float = 0.01
    ) -> list[FloatArray] | None:
        """Joint angles along a straight line of the TCP, which keeps the rotation of the end.

        Args:
            T_from: `T_base_tcp` at the start.
            T_to: the same at the end.
            start: joint angles at the start.
            step_m: between two places.

        Returns:
            Angles after the start; None if a place cannot be reached without a jump.
        """
        way = T_to[:3, 3] - T_from[:3, 3]
        steps = max(1, int(np.ceil(np.linalg.norm(way) / step_m)))
        path: list[FloatArray] = []
        for step in range(1, steps + 1):
            T = T_to.copy()
            T[:3, 3] = T_from[:3, 3] + way * step / steps
            last = path[-1] if path else start
            angles = self.angles_for(T, last, tries=1)
            if angles is None or np.abs(angles - last).max() > 0.5:
                return None
            path.append(angles)
        return path

    def is_path_free(self, start: FloatArray, end: FloatArray, opening_m: float) -> bool:
        """Whether all joints can turn evenly from one place to another."""
        steps = max(1, int(np.ceil(np.abs(end - start).max() / _STEP_RAD)))
        return all(
            self.is_free(start + (end - start) * step / steps, opening_m)
            for step in range(1, steps + 1)
        )

    def close(self) -> None:
        """Give its memory back."""
        self._bullet.close()

    def _set(self, angles: FloatArray, opening_m: float) -> None:
        for joint, angle in zip(ARM, angles, strict=True):
            self._p.resetJointState(self._arm, joint, float(angle))
        for joint in FINGERS:
            self._p.resetJointState(self._arm, joint, opening_m)

    def _reaches(self, angles: FloatArray, T_base_tcp: FloatArray) -> bool:
        if (angles < _LIMITS[:, 0]).any() or (angles > _LIMITS[:, 1]).any():
            return False
        T = self.tcp(angles)
        turn = np.trace(T[:3, :3].T @ T_base_tcp[:3, :3])
        angle = np.arccos(np.clip((turn - 1) / 2, -1, 1))
        away = np.linalg.norm(T[:3, 3] - T_base_tcp[:3, 3])
        return bool(away < _POSITION_TOLERANCE_M and angle < _ROTATION_TOLERANCE)
