"""One PyBullet world: connection, and the Panda arm of its data package."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

ARM_JOINTS = tuple(f"panda_joint{number}" for number in range(1, 8))
FINGER_JOINTS = ("panda_finger_joint1", "panda_finger_joint2")
BASE_FRAME, HAND_FRAME = "panda_link0", "panda_hand"
HAND_LINK, GRASP_LINK = 8, 11
"""Links of the arm by number in PyBullet; the second lies between the fingertips."""
ARM, FINGERS = tuple(range(7)), (9, 10)
"""Joints by number in PyBullet."""
HOME = np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785])
"""Joint angles in which the hand is high and out of the camera's sight [rad]."""
OPEN_M = 0.04
"""Way of each finger when the gripper is fully open [m]."""


class Bullet:
    """A PyBullet world of its own; several can be open at once."""

    def __init__(self) -> None:
        """Connect, without a window."""
        with _silent():  # PyBullet prints when it was built, and an empty command line
            import pybullet
            import pybullet_data
            from pybullet_utils.bullet_client import BulletClient

            self.p: Any = BulletClient(pybullet.DIRECT)
        self.p.setAdditionalSearchPath(pybullet_data.getDataPath())
        self.p.setGravity(0, 0, -9.81)

    def load_arm(self) -> int:
        """The Panda, its base in the origin; returns its number."""
        arm = self.p.loadURDF(
            "franka_panda/panda.urdf",
            useFixedBase=True,
            flags=self.p.URDF_ENABLE_CACHED_GRAPHICS_SHAPES,
        )
        for joint, angle in zip(ARM, HOME, strict=True):
            self.p.resetJointState(arm, joint, angle)
        for joint in FINGERS:
            self.p.resetJointState(arm, joint, OPEN_M)
        return int(arm)

    def link(self, arm: int, link: int) -> FloatArray:
        """`T_world_link`, shape (4, 4) [m]."""
        state = self.p.getLinkState(arm, link, computeForwardKinematics=True)
        return self.transform(state[4], state[5])

    def transform(self, position: Any, quat_xyzw: Any) -> FloatArray:
        """A pose of PyBullet as a matrix, shape (4, 4)."""
        T = np.eye(4)
        T[:3, :3] = np.reshape(self.p.getMatrixFromQuaternion(quat_xyzw), (3, 3))
        T[:3, 3] = position
        return T

    def close(self) -> None:
        """Give its memory back."""
        with contextlib.suppress(Exception):  # PyBullet's own error, of a type that it hides
            self.p.disconnect()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Nothing that C code prints is seen."""
    sys.stdout.flush()
    saved = os.dup(1), os.dup(2)
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            for stream, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, stream)
                os.close(copy)
