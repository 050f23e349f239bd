"""ROS 2 node: camera images to 3D keypoints, pose and TF of objects. It only translates.

Run it with `ros2 launch kp3d_ros detector.launch.py`, or where there is no launch with
`python -m kp3d_ros.detector_node --ros-args -p model:=car -p object_size:=4.5`.
"""

from __future__ import annotations

import gc
import signal
import sys
from typing import Any

import cv2
import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from kp3d_ros.calibrations import FIRST_WAIT_S, Calibrations
from kp3d_ros.categories import create_categories
from kp3d_ros.core_log import core_log_in
from kp3d_ros.depth_images import DepthImages
from kp3d_ros.diagnostics import Statistics
from kp3d_ros.image_taking import TakenImage
from kp3d_ros.inputs import Inputs, TfListener
from kp3d_ros.memory import reuse_large_buffers
from kp3d_ros.outputs import TF_TOPIC
from kp3d_ros.parameter_files import files_for_others, with_hint
from kp3d_ros.parameters import change, declare
from kp3d_ros.patience import WAIT_S
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.processing import Processor
from kp3d_ros.publishing import Outputs
from kp3d_ros.reporting import Reporter
from kp3d_ros.tf_buffer import TfBuffer
from kp3d_ros.transitions import bugs_are_logged
from kp3d_ros.watchdog import Watchdog
from kp3d_ros.worker import Worker

NODE_NAME = "detector"
_DEMAND_PERIOD_S = 0.1
"""How soon the node notices that somebody listens to its results, or that nobody does any more."""


class DetectorNode(LifecycleNode):  # type: ignore[misc]
    """Configured it holds the models, active it listens.

    One worker thread takes images and what belongs to them, works and publishes; everything else
    happens in the executor's thread.
    """

    def __init__(self, **options: Any) -> None:
        """Read the parameters; everything else waits for the transition to configure.

        Args:
            **options: of `rclpy.node.Node`.

        Raises:
            ValueError: a parameter is wrong.
        """
        super().__init__(NODE_NAME, **options)
        self.problem = ""
        """Why the last transition failed."""
        self.is_starting = False
        """Whether `main` is bringing it up, and will say why that failed."""
        self._pipeline: Pipeline | None = None
        self._outputs: Outputs | None = None
        self._inputs: Inputs | None = None
        self._worker: Worker[TakenImage] | None = None
        self._tf_listener: TfListener | None = None
        self._statistics, self._watchdog = Statistics(), Watchdog()
        self._dropped = 0
        self.settings = declare(self)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._reporter = Reporter(self, self._statistics, self._watchdog)
        self.create_service(Trigger, "~/set_reference", self._on_set_reference)
        # Timers of the node's clock stand still while simulated time does.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._report, clock=steady)
        self.create_timer(_DEMAND_PERIOD_S, self._follow_demand, clock=steady)

    # Transitions, in the executor's thread.

    @bugs_are_logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the models, open the topics of results."""
        try:
            with core_log_in(self.get_logger()):
                categories = create_categories(self.settings)
        except ValueError as error:
            self.problem = str(error)
            if not self.is_starting:
                self.get_logger().error(f"Cannot be configured: {error}")
            return TransitionCallbackReturn.FAILURE
        self.problem = ""
        buffer, settings = TfBuffer(), self.settings
        if settings.gravity_frame or settings.fixed_frame:
            self._tf_listener = TfListener(self, buffer)
        self._pipeline = Pipeline(
            categories,
            settings,
            lambda target, source, time_ns: buffer.lookup(
                target, source, time_ns, self.settings.tf_timeout
            ),
            Calibrations(wait_s=WAIT_S, first_wait_s=FIRST_WAIT_S),
            DepthImages(wait_s=WAIT_S),
        )
        self._outputs = Outputs(self, self._pipeline, int(self._tf_listener is not None))
        return TransitionCallbackReturn.SUCCESS

    @bugs_are_logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen and work."""
        assert self._pipeline is not None
        assert self._outputs is not None
        processor = Processor(self, self._pipeline, self._outputs, self._statistics, self._watchdog)
        self._worker = Worker(self.context, processor.process, processor.skip_message)
        intake = self._worker.intake
        self._pipeline.calibrations.wait_for = intake.wait_for
        self._pipeline.depths.wait_for = intake.wait_for
        lost = self._statistics.count_lost
        self._inputs = Inputs(self, self._pipeline, self.settings, self._on_image, lost, intake)
        self._reporter.started(self._pipeline)
        self._follow_demand()
        return TransitionCallbackReturn.SUCCESS

    @bugs_are_logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening and working, and forget what was seen."""
        self._stop()
        return TransitionCallbackReturn.SUCCESS

    @bugs_are_logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unload the models and close the topics."""
        self._unload()
        return TransitionCallbackReturn.SUCCESS

    @bugs_are_logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """The same from any state."""
        self._stop()
        self._unload()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a bug in a transition: back to where it can be configured."""
        return self.on_shutdown(state)

    def _stop(self) -> None:
        """Undo what activating did."""
        if self._inputs is not None:
            self._inputs.close()
            self._inputs = None
        if self._worker is not None:
            self._worker.stop()
            self._dropped += self._worker.dropped
            self._worker = None
        if self._outputs is not None and self.context.ok():
            self._outputs.clear()
        if self._pipeline is not None:
            self._pipeline.reset()

    def _unload(self) -> None:
        """Undo what configuring did."""
        if self._tf_listener is not None:
            self._tf_listener.close()
            self._tf_listener = None
        if self._outputs is not None:
            self._outputs.close()
            self._outputs = None
        self._pipeline = None
        gc.collect()  # the engine's memory is wanted back now

    def _on_image(self, message: TakenImage) -> None:
        """In the worker's thread."""
        self._statistics.count_received()
        if self._worker is not None:
            self._worker.put(message)

    # Callbacks, in the executor's thread.

    def _on_set_reference(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        if self._pipeline is None or self._worker is None:
            response.message = "The node is not active: there is nothing to take a reference of."
            return response
        self._pipeline.inbox.want_references()
        response.success = True
        response.message = "The next image in which the object is found becomes the reference."
        return response

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            settings = change(self.settings, parameters, configured=bool(self._pipeline))
            if self._pipeline is not None:
                self._pipeline.settings = settings
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.settings = settings
        return SetParametersResult(successful=True)

    def _follow_demand(self) -> None:
        """Listen to images only while somebody listens to what comes of them."""
        if self._inputs is None or self._outputs is None:
            return
        wanted = self._outputs.wanted()
        if not self.settings.publish_tf:
            wanted.discard(TF_TOPIC)
        is_wanted = self.settings.always_on or bool(wanted)
        if is_wanted and not self._inputs.is_open:
            self._inputs.open()
            self._watchdog.restart()
            self._reporter.opened(self._inputs.image_topic)
        elif not is_wanted and self._inputs.is_open:
            self._inputs.close()

    def _report(self) -> None:
        dropped = self._dropped + (self._worker.dropped if self._worker else 0)
        self._reporter.report(self._pipeline, self._inputs, self._outputs, self.problem, dropped)

    def destroy_node(self) -> None:
        """Stop the worker, then close the topics it publishes on."""
        self._stop()
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Run the node until it is stopped; the result is the exit status."""
    try:
        return _run(args)
    except KeyboardInterrupt:
        return 0  # a second Ctrl-C while it was stopping


def _run(args: list[str] | None) -> int:
    reuse_large_buffers()
    # A second one speeds no conversion or crop up, and each waits for it where other work keeps the
    # cores busy: a crop then takes up to five times as long.
    cv2.setNumThreads(1)
    try:
        rclpy.init(args=args)
        executor = SingleThreadedExecutor()
        node = DetectorNode()
    except (RuntimeError, ValueError, ParameterException) as error:
        get_logger(NODE_NAME).fatal(f"Cannot start: {with_hint(str(error))}")
        rclpy.try_shutdown()
        return 1
    executor.add_node(node)
    for text in files_for_others(args or sys.argv, node.get_fully_qualified_name()):
        node.get_logger().warning(text)
    try:
        problem = _start(node)
        if not rclpy.ok():
            return 0  # stopped while starting
        if problem:
            node.get_logger().fatal(f"Cannot start: {problem}")
            return 1
        # What stays for good need not be searched for garbage while images come in.
        gc.collect()
        gc.freeze()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        if rclpy.ok():
            raise  # else stopped while starting
    finally:
        # `ros2 launch` passes Ctrl-C on to a process that has got it from the terminal already: a
        # second one must not interrupt the cleaning up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _start(node: DetectorNode) -> str:
    """Bring the node up if it is to do so itself; returns what went wrong."""
    if not node.settings.autostart:
        return ""
    node.is_starting = True
    if node.trigger_configure() != TransitionCallbackReturn.SUCCESS:
        return node.problem or "the node cannot be configured"
    if node.trigger_activate() != TransitionCallbackReturn.SUCCESS:
        return node.problem or "the node cannot be activated"
    node.is_starting = False
    return ""


if __name__ == "__main__":
    sys.exit(main())
