"""A planner that picks up a mug: it reads topics and TF only, and moves the arm by trajectories.

Started with `python -m kp3d_ros.demo.grasp.planner`; its service `pick` does the rest.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from kp3d_ros.demo.grasp import names
from kp3d_ros.demo.grasp.arm import Arm
from kp3d_ros.demo.grasp.bullet import HOME, OPEN_M, FloatArray
from kp3d_ros.demo.grasp.eyes import Eyes
from kp3d_ros.demo.grasp.grasps import Estimate, Grasp, Tolerance, grasps
from kp3d_ros.demo.grasp.motion import Motion
from kp3d_ros.demo.grasp.sighting import disagreement, fused
from kp3d_ros.demo.grasp.views import second_views

_ABOVE_M, _LIFT_M = 0.12, 0.13
"""Height over the grasp from which the hand comes down straight; how high it lifts the mug."""
_AGREE = 4.0
"""Two views of one mug are no further apart than this, in standard deviations of all six
coordinates together: by chance one in a hundred is."""
_EMPTY_M = 0.0008
"""Fingers closer than this hold nothing."""


@dataclass
class Report:
    """What the planner did and why; poses in the frame of the arm's base."""

    done: bool = False
    """The hand came up with something between its fingers."""
    reason: str = ""
    """Why not, in a few words."""
    views: int = 0
    kind: str = ""
    """Of the grasp."""
    closed: bool = False
    """Whether the gripper closed at all."""
    stamp_ns: int = 0
    """Of the image that the decision stands on."""
    decided_s: float = 0.0
    """When the way to the grasp was known, by `time.time()`."""
    T_base_mug: list[list[float]] = field(default_factory=list)
    covariance: list[list[float]] = field(default_factory=list)
    size_m: list[float] = field(default_factory=list)
    strain: float | None = None
    seen: dict[str, Any] = field(default_factory=dict)
    """By camera: pose and covariance as the node told them."""


@dataclass(frozen=True)
class Plan:
    """A grasp with a way to it."""

    grasp: Grasp
    above: FloatArray
    """Joint angles over it."""
    down: list[FloatArray]
    """Joint angles on the way down."""


class Planner(Node):  # type: ignore[misc]
    """Looks, looks again if it must, chooses a grasp and carries it out."""

    def __init__(self) -> None:
        """Open the topics."""
        super().__init__("planner", namespace=names.NAMESPACE)
        self.declare_parameter("switch_detectors", True)
        self.declare_parameter("use_depth", False)
        self.declare_parameter("boxes_are_whole", False)
        switch = bool(self.get_parameter("switch_detectors").value)
        use_depth = bool(self.get_parameter("use_depth").value)
        whole = bool(self.get_parameter("boxes_are_whole").value)
        group = ReentrantCallbackGroup()
        self._eyes = Eyes(
            self,
            group,
            switch_detectors=switch,
            use_depth=use_depth,
            boxes_are_whole=whole,
        )
        self._motion = Motion(self, group)
        self._arm = Arm()
        self._tolerance = Tolerance()
        self.create_service(Trigger, names.PICK, self._on_pick, callback_group=group)

    def _on_pick(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        report = Report()
        try:
            self._pick(report)
        except TimeoutError as error:
            report.reason = str(error)
        response.success = report.done
        response.message = json.dumps(asdict(report))
        return response

    def _pick(self, report: Report) -> None:
        self._motion.move_gripper(OPEN_M)
        mug = self._seen(report)
        if mug is None:
            return
        plan = self._plan(mug, report)
        if plan is None:
            return
        report.kind, report.strain = plan.grasp.kind, plan.grasp.strain
        report.T_base_mug = mug.T_base_mug.tolist()
        report.covariance = mug.covariance.tolist()
        report.size_m = mug.box_size.tolist()
        report.decided_s = time.time()
        self._motion.move_gripper(plan.grasp.opening_m)
        self._motion.move([plan.above])
        self._motion.move(plan.down, slowly=True)
        report.closed = True
        way = self._motion.close_gripper()
        up = plan.grasp.T_base_tcp.copy()
        up[2, 3] += _LIFT_M
        lift = self._arm.straight(plan.grasp.T_base_tcp, up, plan.down[-1])
        self._motion.move(lift or [*plan.down[-2::-1], plan.above], slowly=True)
        report.done = way > _EMPTY_M
        report.reason = "" if report.done else "the gripper closed on nothing"

    def _seen(self, report: Report) -> Estimate | None:
        """What the cameras say, from one view or two; None if that is too little to grasp by."""
        first, report.stamp_ns = self._eyes.look(names.CAMERA)
        report.views = 1
        self._note(report, names.CAMERA, first)
        upright = self._eyes.standing(first) if first is not None else None
        if upright is not None and grasps(upright, self._tolerance)[0].strain <= 1:
            return upright
        second = self._second_view(upright or first, report)
        self._note(report, names.HAND_CAMERA, second)
        if first is None or second is None:
            both = first or second
        elif disagreement(first, second) > _AGREE:
            report.reason = "refused: the two views disagree"
            return None
        else:
            both = fused(first, second)
        if both is None:
            report.reason = "refused: no mug is seen"
            return None
        both = self._eyes.standing(both)
        if both is None:
            report.reason = "refused: what is seen does not stand on the table"
            return None
        best = grasps(both, self._tolerance)[0]
        if best.strain > 1:
            report.reason = f"refused: too uncertain ({best.strain:.1f} times what a grasp bears)"
            return None
        return both

    def _note(self, report: Report, camera: str, seen: Estimate | None) -> None:
        """Let the report tell what a camera saw, whatever comes of it."""
        if seen is not None:
            T, covariance = seen.T_base_mug.tolist(), seen.covariance.tolist()
            report.seen[camera] = {"T_base_mug": T, "covariance": covariance}

    def _second_view(self, first: Estimate | None, report: Report) -> Estimate | None:
        """Look with the camera in the hand, from where the first view says least."""
        target = first.T_base_mug[:3, 3] if first else np.array([0.5, 0.0, 0.05])
        for T_base_hand in second_views(target):
            angles = self._arm.angles_for_hand(T_base_hand, HOME)
            if angles is None or not self._arm.is_path_free(HOME, angles, OPEN_M):
                continue
            self._motion.move([angles])
            second, stamp_ns = self._eyes.look(names.HAND_CAMERA)
            self._motion.move([HOME])
            if second is not None:
                report.views, report.stamp_ns = 2, stamp_ns
            return second
        return None

    def _plan(self, mug: Estimate, report: Report) -> Plan | None:
        """The first grasp that bears the uncertainty and to which the way is free."""
        self._arm.set_obstacles(self._eyes.obstacles(mug))
        start = self._motion.angles()
        bearable = [item for item in grasps(mug, self._tolerance) if item.strain <= 1]
        for grasp in sorted(bearable, key=_preference):
            over = grasp.T_base_tcp.copy()
            over[2, 3] += _ABOVE_M
            above = self._arm.angles_for(over, HOME)
            if above is None or not self._arm.is_path_free(start, above, grasp.opening_m):
                continue
            down = self._arm.straight(over, grasp.T_base_tcp, above)
            if down is not None and all(self._arm.is_free(q, grasp.opening_m) for q in down):
                return Plan(grasp, above, down)
        report.reason = f"no way is free to any of {len(bearable)} grasps"
        return None


def _preference(grasp: Grasp) -> tuple[bool, float]:
    """The rim first; then what bears most, and of those that is nearest to the arm."""
    reach = float(np.linalg.norm(grasp.T_base_tcp[:2, 3]))
    return grasp.kind != "rim", round(4 * grasp.strain) / 4 + reach


def main(args: list[str] | None = None) -> int:
    """Run the planner until it is stopped."""
    rclpy.init(args=args)
    planner = Planner()
    executor = MultiThreadedExecutor(3)
    executor.add_node(planner)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C while it is cleaning up
        executor.shutdown()
        planner.destroy_node()
        rclpy.try_shutdown()
    return 0


def as_estimate(report: dict[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Pose (4, 4) and covariance (6, 6) that a report in JSON tells."""
    return np.array(report["T_base_mug"]), np.array(report["covariance"])


if __name__ == "__main__":
    sys.exit(main())
