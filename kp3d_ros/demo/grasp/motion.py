"""Moves arm and gripper by trajectories, and waits until their joints are there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from kp3d_ros.demo.grasp import names
from kp3d_ros.demo.grasp.bullet import ARM_JOINTS, FINGER_JOINTS, FloatArray

_SPEED, _SLOW = 1.2, 0.45
"""Of the fastest joint, on free ways and beside the mug [rad/s]."""
_RAMP_S = 0.3
_THERE_RAD, _STILL_RAD_S, _STILL_M_S = 0.02, 0.02, 0.002
_TIMEOUT_S = 30.0
"""By the clock of the topics: a simulation may be slow."""


class Motion:
    """Commands to the controllers of arm and gripper."""

    def __init__(self, node: Node, group: Any) -> None:
        """Open the topics.

        Args:
            node: whose topics they are.
            group: callback group that runs beside the one that waits.
        """
        self._positions: dict[str, float] = {}
        self._velocities: dict[str, float] = {}
        self._messages = 0
        self._clock = node.get_clock()
        self._arm = node.create_publisher(JointTrajectory, names.ARM_TRAJECTORY, 10)
        self._gripper = node.create_publisher(JointTrajectory, names.GRIPPER_TRAJECTORY, 10)
        node.create_subscription(
            JointState, names.JOINT_STATES, self._on_joints, 10, callback_group=group
        )

    def angles(self) -> FloatArray:
        """Where the arm's joints are, shape (7,) [rad]."""
        self._wait(lambda: bool(self._positions), "no joint states come")
        return np.array([self._positions[name] for name in ARM_JOINTS])

    def move(self, path: Sequence[FloatArray], *, slowly: bool = False) -> None:
        """Turn the joints through a row of places, and wait for the last one."""
        times = times_of([self.angles(), *path], _SLOW if slowly else _SPEED)[1:]
        points = [
            JointTrajectoryPoint(positions=angles.tolist(), time_from_start=_duration(at))
            for angles, at in zip(path, times, strict=True)
        ]
        self._arm.publish(JointTrajectory(joint_names=list(ARM_JOINTS), points=points))

        def is_there() -> bool:
            away = np.abs(self.angles() - path[-1]).max()
            speed = max(abs(self._velocities[name]) for name in ARM_JOINTS)
            return bool(away < _THERE_RAD and speed < _STILL_RAD_S)

        self._wait(is_there, "the arm does not arrive")

    def move_gripper(self, way_m: float) -> None:
        """Open or close without waiting."""
        point = JointTrajectoryPoint(positions=[way_m], time_from_start=_duration(0.5))
        self._gripper.publish(JointTrajectory(joint_names=[FINGER_JOINTS[0]], points=[point]))

    def close_gripper(self) -> float:
        """Close until the fingers stand still; returns how far each is from the middle [m]."""
        before = self._messages
        self.move_gripper(0.0)
        self._wait(lambda: self._messages > before + 10, "no joint states come")
        still = 0

        def is_closed() -> bool:
            nonlocal still
            still = still + 1 if self._finger_speed() < _STILL_M_S else 0
            return still > 5

        deadline = self._now_s() + _TIMEOUT_S
        while not is_closed():
            self._wait_for_message()
            if self._now_s() > deadline:
                raise TimeoutError("the gripper does not come to rest")
        return sum(self._positions[name] for name in FINGER_JOINTS) / 2

    def _wait_for_message(self) -> None:
        last = self._messages
        self._wait(lambda: self._messages > last, "no joint states come")

    def _now_s(self) -> float:
        return float(self._clock.now().nanoseconds) * 1e-9

    def _finger_speed(self) -> float:
        return max(abs(self._velocities[name]) for name in FINGER_JOINTS)

    def _on_joints(self, message: JointState) -> None:
        self._velocities = dict(zip(message.name, message.velocity, strict=True))
        self._positions = dict(zip(message.name, message.position, strict=True))
        self._messages += 1

    def _wait(self, condition: Any, what: str) -> None:
        deadline = self._now_s() + _TIMEOUT_S
        while not condition():
            if self._now_s() > deadline:
                raise TimeoutError(what)
            time.sleep(0.002)


def times_of(path: Sequence[FloatArray], speed: float) -> FloatArray:
    """When to be where, so that the fastest joint turns at a speed, gently at both ends [s]."""
    ways = np.array([np.abs(b - a).max() for a, b in zip(path[:-1], path[1:], strict=True)])
    return np.concatenate([[0.0], np.cumsum(ways / speed)]) + np.concatenate(
        [[0.0], np.full(len(ways), _RAMP_S)]
    )


def _duration(seconds: float) -> Duration:
    nanoseconds = round(seconds * 1e9)
    return Duration(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
