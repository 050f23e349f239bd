"""Trials of the whole loop, one after the other, and what came of each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from kp3d_ros.demo.grasp import names
from kp3d_ros.demo.grasp.bullet import BASE_FRAME, FloatArray
from kp3d_ros.demo.grasp.objects import FIRST_SEED, GraspObject, made_mug
from kp3d_ros.demo.grasp.planner import as_estimate
from kp3d_ros.demo.grasp.scenes import draw_scene
from kp3d_ros.demo.grasp.sighting import rotation_vector
from kp3d_ros.demo.grasp.simulator import Simulator, spinning
from kp3d_ros.demo.grasp.world import STEP_S, World
from kp3d_ros.demo.process import RosProcess

_NOMINAL_SIZE_M = 0.12
"""Longest dimension of a mug, told the node until it is told the right one."""
_RISE_M, _HOLD_S = 0.08, 1.0
"""A mug counts as picked up if it is so much higher for so long afterwards."""
_TIMEOUT_S = 600.0
"""By the machine's clock, which may be busy with other work."""


@dataclass(frozen=True)
class Settings:
    """What is tried."""

    trials: int = 20
    first: int = 0
    """Number of the first trial: scenes and mugs are drawn from it."""
    model: str = "mug"
    """Model file, or name of a shipped model."""
    true_pose: bool = False
    use_depth: bool = True
    """Depth for the node (scale) and for the planner (obstacles)."""
    clutter: bool = False
    size_error: float = 0.0
    """How much the size that the node is told is wrong, as a share; without depth only."""
    mugs: tuple[GraspObject, ...] = ()
    """Instead of those of the generator, in turn."""
    backgrounds: Path | None = None
    """Folder of photographs for the wall."""


@dataclass
class Result:
    """What came of a trial."""

    trial: int
    mug: str
    success: bool
    reason: str
    """Why not."""
    views: int = 0
    kind: str = ""
    closed: bool = False
    error_mm: float | None = None
    """Of the place of the mug that the planner decided on."""
    error_deg: float | None = None
    deviations: float | None = None
    """The larger of both errors in standard deviations stated along their direction."""
    image_to_plan_s: float | None = None
    """From the image to the way to the grasp, by the machine's clock."""
    simulated_s: float = 0.0
    duration_s: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)


class Loop:
    """Simulator here, node and planner in their own processes."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        """Start everything.

        Args:
            settings: what is tried.
            folder: for logs and the simulator's files.
        """
        self.settings, self._folder = settings, folder
        self.on_world: Callable[[World], None] | None = None
        """Called with each new world, before the planner begins."""
        self._stack = ExitStack()
        self.nodes: dict[str, RosProcess] = {}
        self._configured: set[str] = set()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        settings, enter = self.settings, self._stack.enter_context
        rclpy.init()
        self._stack.callback(rclpy.try_shutdown)
        self.simulator = Simulator(truth=settings.true_pose, with_depth=settings.use_depth)
        self._stack.callback(self.simulator.destroy_node)
        self._step = enter(spinning(self.simulator))
        switch = not settings.true_pose
        self.nodes["planner"] = enter(
            RosProcess(
                "kp3d_ros.demo.grasp.planner",
                self._folder / "planner.log",
                namespace=names.NAMESPACE,
                parameters={
                    "switch_detectors": switch,
                    "use_depth": settings.use_depth and switch,
                    "boxes_are_whole": settings.true_pose,
                    "use_sim_time": True,
                },
                what="planner",
            )
        )
        for camera in names.OPTICAL_FRAMES if switch else ():
            self.nodes[camera] = enter(self._detector(camera))
        self._pick = self.simulator.create_client(Trigger, names.PICK)
        self._wait(self._pick.service_is_ready, "the planner does not start")

    def _detector(self, camera: str) -> RosProcess:
        """The node that looks at a camera's images, not configured yet."""
        settings = self.settings
        return RosProcess(
            "kp3d_ros.detector_node",
            self._folder / f"{camera}.log",
            namespace=f"{names.NAMESPACE}/{camera}",
            parameters={
                "models": [self._entry(None)],
                "use_depth": settings.use_depth,
                "gravity_frame": BASE_FRAME,
                "fixed_frame": BASE_FRAME,
                "detections_required": True,
                "publish_tf": camera == names.CAMERA,  # a frame has one parent, so one publisher
                "autostart": False,
                "use_sim_time": True,
            },
            what=f"detector node of {camera}",
        )

    def run(self) -> Iterator[Result]:
        """Try once after the other; yields what came of it."""
        for number in range(self.settings.first, self.settings.first + self.settings.trials):
            yield self._try(number)

    def _try(self, number: int) -> Result:
        started, settings = time.monotonic(), self.settings
        mugs = settings.mugs
        mug = mugs[number % len(mugs)] if mugs else made_mug(FIRST_SEED + number)
        scene = draw_scene(number, mug, settings.clutter)
        world = World(scene, self._folder / "files", settings.backgrounds)
        try:
            self.simulator.enter(world)
            if self.nodes.keys() > {"planner"}:
                self._configure(mug)
            if self.on_world:
                self.on_world(world)
            before = world.mug_pose()
            answer = self._call(self._pick, Trigger.Request(), "the planner does not answer")
            report = json.loads(answer.message)
            lifted = self._is_held(world, before)
            result = self._judged(number, mug, report, before, lifted)
            result.simulated_s = round(world.time_s, 2)
        finally:
            self.simulator.world = None
            world.close()
        result.duration_s = round(time.monotonic() - started, 2)
        return result

    def _entry(self, mug: GraspObject | None) -> str:
        """Of the parameter `models`; with a size only where no depth image tells it.

        A known size and a measured one that do not agree would be refused.
        """
        if self.settings.use_depth:
            return f"{names.CLASS}={self.settings.model}"
        size = float(mug.size_m.max()) if mug else _NOMINAL_SIZE_M
        size *= 1 + self.settings.size_error
        return f"{names.CLASS}={self.settings.model}@{size:.5f}"

    def _configure(self, mug: GraspObject) -> None:
        """Tell the nodes the size of this mug where they need it: they read it when configured."""
        models = [self._entry(mug)]
        for camera in names.OPTICAL_FRAMES:
            name = names.detector(camera)
            change = self.simulator.create_client(ChangeState, f"{name}/change_state")
            parameters = self.simulator.create_client(SetParameters, f"{name}/set_parameters")
            if camera in self._configured:
                if self.settings.use_depth:
                    continue
                self._transit(change, Transition.TRANSITION_CLEANUP, name)
            self._configured.add(camera)
            request = SetParameters.Request(
                parameters=[Parameter("models", value=models).to_parameter_msg()]
            )
            for outcome in self._call(parameters, request, f"{name} is not there").results:
                if not outcome.successful:
                    raise RuntimeError(f"{name} does not take the size: {outcome.reason}")
            self._transit(change, Transition.TRANSITION_CONFIGURE, name)
            self.simulator.destroy_client(change)
            self.simulator.destroy_client(parameters)

    def _transit(self, client: Any, transition: int, name: str) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        if not self._call(client, request, f"{name} is not there").success:
            log = "; ".join(node.output() for node in self.nodes.values())
            raise RuntimeError(f"{name} cannot be configured. It printed: {log}")

    def _call(self, client: Any, request: Any, what: str) -> Any:
        self._wait(client.service_is_ready, what)
        future = client.call_async(request)
        self._wait(future.done, what)
        return future.result()

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _TIMEOUT_S
        while not condition():
            self._step()
            if self.simulator.world is None:
                time.sleep(0.01)
            for node in self.nodes.values():
                node.check_alive()
            if time.monotonic() > deadline:
                raise RuntimeError(f"Nothing goes on: {what} within {_TIMEOUT_S:.0f} s.")

    def _is_held(self, world: World, before: FloatArray) -> bool:
        """Whether the mug is in the air, and stays there."""
        for _ in range(round(_HOLD_S / STEP_S)):
            world.step()
        return bool(world.mug_pose()[2, 3] - before[2, 3] > _RISE_M)

    def _judged(
        self, number: int, mug: GraspObject, report: dict[str, Any], truth: FloatArray, held: bool
    ) -> Result:
        reason = report["reason"] or ("" if held else "the mug was dropped")
        result = Result(number, mug.name, held, "" if held else reason)
        result.views, result.kind, result.closed = report["views"], report["kind"], report["closed"]
        result.details = {"size_m": mug.size_m.round(4).tolist(), **report}
        if report["T_base_mug"]:
            for name, value in _errors(*as_estimate(report), truth).items():
                setattr(result, name, value)
        for seen in report["seen"].values():
            seen.update(_errors(*as_estimate(seen), truth))
        sent_s = self.simulator.image_times_s.get(report["stamp_ns"])
        if sent_s and report["decided_s"]:
            result.image_to_plan_s = round(report["decided_s"] - sent_s, 3)
        return result

    def close(self) -> None:
        """Stop everything."""
        self._stack.close()


def _errors(T: FloatArray, covariance: FloatArray, truth: FloatArray) -> dict[str, float]:
    """Errors of a pose, by the names of fields of `Result`."""
    away = T[:3, 3] - truth[:3, 3]
    turn = rotation_vector(T[:3, :3] @ truth[:3, :3].T)
    deviations = _deviations(away, covariance[:3, :3]), _deviations(turn, covariance[3:, 3:])
    return {
        "error_mm": round(1000 * float(np.linalg.norm(away)), 2),
        "error_deg": round(float(np.degrees(np.linalg.norm(turn))), 2),
        "deviations": round(max(deviations), 2),
    }


def _deviations(error: FloatArray, covariance: FloatArray) -> float:
    """An error in standard deviations, along the axis of the covariance where it is largest."""
    variances, axes = np.linalg.eigh(covariance)
    return float(np.abs(axes.T @ error / np.sqrt(np.maximum(variances, 1e-18))).max())
