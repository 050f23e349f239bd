"""What the node says once a second: its state and figures on /diagnostics, news in the log."""

from __future__ import annotations

from collections.abc import Iterable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from kp3d_ros.connections import deaf_listeners
from kp3d_ros.diagnostics import Statistics, Throttle, status_message
from kp3d_ros.inputs import Inputs
from kp3d_ros.outputs import METRIC_TOPICS
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.publishing import Outputs
from kp3d_ros.qos import overridable
from kp3d_ros.refusals import expectations
from kp3d_ros.watchdog import Reason, Situation, Watchdog


class Reporter:
    """Publishes /diagnostics, and logs each reason for having no result once while it lasts."""

    def __init__(self, node: LifecycleNode, statistics: Statistics, watchdog: Watchdog) -> None:
        """Open the topic.

        Args:
            node: for its clock, log and names.
            statistics: counts images.
            watchdog: knows why there is no result.
        """
        self._node = node
        self._statistics = statistics
        self._watchdog = watchdog
        self._publisher = node.create_publisher(
            DiagnosticArray, "/diagnostics", QoSProfile(depth=10),
            qos_overriding_options=overridable(),
        )  # fmt: skip
        self._throttle = Throttle()
        self._told: set[str] = set()

    def report(
        self,
        pipeline: Pipeline | None,
        inputs: Inputs | None,
        outputs: Outputs | None,
        failure: str,
        dropped: int,
    ) -> None:
        """Say how things are.

        Args:
            pipeline: None while the node is not configured.
            inputs: None while it is not active.
            outputs: None while it is not configured.
            failure: why the last transition failed.
            dropped: images that newer ones replaced before their turn came.
        """
        facts = pipeline.facts() if pipeline else {}
        problem, figures = self._statistics.report(facts, dropped)
        if pipeline is None or inputs is None or outputs is None:
            reasons = [self._rest(failure, is_configured=pipeline is not None)]
        else:
            reasons = list(self._reasons(pipeline, inputs, outputs))
        self._log(reasons if not failure else [])
        level, text = DiagnosticStatus.OK, "running"
        for reason in reasons:
            if reason.is_advice:
                figures["advice"] = reason.text
            elif text == "running":
                level = DiagnosticStatus.WARN if reason.is_fault else DiagnosticStatus.OK
                text = reason.text
        if failure or (problem and inputs is not None):
            level, text = DiagnosticStatus.ERROR, failure or problem
        name = f"{self._node.get_fully_qualified_name().lstrip('/')}: images"
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._publisher.publish(status_message(header, level, name, text, figures))

    def started(self, pipeline: Pipeline) -> None:
        """The node is active."""
        logger, settings = self._node.get_logger(), pipeline.settings
        for category in pipeline.categories:
            model, engine = category.model, category.detector.engine
            logger.info(
                f"Model {model.name} {model.version} ({model.category}, "
                f"{model.keypoints.count} keypoints) on {engine.name}, {engine.device}, in "
                f"{engine.precision}."
            )
            logger.info(expectations(model, settings.max_wrong))
            if not category.detector.metric and not settings.use_depth:
                logger.warning(
                    "Parameter 'object_size' is 0: positions are known up to scale only. "
                    f"Keypoints and TF frames ('{category.name}') say so; ~/pose, "
                    "~/relative_pose and ~/detections_3d, which are in metres by definition, are "
                    "not published."
                )

    def opened(self, topic: str) -> None:
        """Images are listened to; told as seldom as that they are not."""
        if self._throttle.allows("open"):
            self._node.get_logger().info(f"Waiting for images on {topic}.")

    def _log(self, reasons: Iterable[Reason]) -> None:
        """Log what is new; it is told again only after it has gone and come back."""
        logger, lasting = self._node.get_logger(), set()
        for reason in reasons:
            if reason.kind in self._told or self._throttle.allows(reason.kind):
                lasting.add(reason.kind)
            if reason.kind not in lasting - self._told:
                continue
            if reason.is_fault:
                logger.warning(reason.text)
            else:
                logger.info(reason.text)  # rclpy wants one level for each line of code
        self._told = lasting

    def _rest(self, failure: str, *, is_configured: bool) -> Reason:
        """Why a node that is not active does nothing; a failure has been logged where it arose."""
        name = self._node.get_fully_qualified_name()
        if failure:
            return Reason("failure", failure)
        state, step = ("Inactive", "activate") if is_configured else ("Unconfigured", "configure")
        return Reason(
            state,
            f"{state}: the node waits for a lifecycle manager. By hand: ros2 lifecycle set {name} "
            f"{step}.",
            is_fault=False,
        )

    def _reasons(self, pipeline: Pipeline, inputs: Inputs, outputs: Outputs) -> Iterable[Reason]:
        settings = pipeline.settings
        deaf = [
            sentence for topic in outputs.topics for sentence in deaf_listeners(self._node, topic)
        ]
        if not inputs.is_open:
            yield from (Reason(f"deaf {text}", text) for text in deaf)
            tf = "" if settings.publish_tf else " ('publish_tf' is false: /tf does not count)"
            yield Reason(
                "idle",
                f"Idle: nobody listens to the results{tf}, so {inputs.image_topic} is not even "
                "subscribed to. Subscribe to a result, for example "
                f"{outputs.example}, or set 'always_on'.",
                is_fault=False,
            )
            return
        yield from self._watchdog.reasons(
            Situation(
                settings=settings,
                arrivals=inputs.arrivals,
                why=inputs.why_nothing_comes,
                is_published=inputs.is_published,
                calibrated=pipeline.calibrations.any_known,
                has_time=self._has_time(),
                up_to_scale=_only_lengths_are_wanted(pipeline, outputs),
                deaf=deaf,
            )
        )

    def _has_time(self) -> bool:
        clock = self._node.get_clock()
        return not clock.ros_time_is_active or clock.now().nanoseconds > 0


def _only_lengths_are_wanted(pipeline: Pipeline, outputs: Outputs) -> bool:
    """Whether all listeners wait for what is in metres by definition, and nothing tells metres."""
    if pipeline.settings.use_depth or any(c.detector.metric for c in pipeline.categories):
        return False
    wanted = outputs.wanted()
    return bool(wanted) and wanted <= METRIC_TOPICS
