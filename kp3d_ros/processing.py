"""What happens to an image in the worker thread: find, publish, count, and log what went wrong."""

from __future__ import annotations

import time
import traceback

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from kp3d_ros.answer import NO_CALIBRATION, Answer, Unused
from kp3d_ros.diagnostics import Statistics, Throttle, kind_of
from kp3d_ros.headers import stamp_seconds
from kp3d_ros.outputs import needs_places
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.publishing import Outputs
from kp3d_ros.watchdog import Watchdog


class Processor:
    """The one place where errors about images become log entries."""

    def __init__(
        self,
        node: Node,
        pipeline: Pipeline,
        outputs: Outputs,
        statistics: Statistics,
        watchdog: Watchdog,
    ) -> None:
        """Remember what works together.

        Args:
            node: for its clock, log and names.
            pipeline: finds objects.
            outputs: publishes them.
            statistics: counts.
            watchdog: is told what came of each image.
        """
        self._node = node
        self._pipeline = pipeline
        self._outputs = outputs
        self._statistics = statistics
        self._watchdog = watchdog
        self._throttle = Throttle()

    def process(self, message: Image | CompressedImage) -> None:
        """Publish what is in an image; never raises."""
        start, engine_s = time.perf_counter(), self._pipeline.engine_s
        try:
            answer = self._process(message)
        except Unused as error:
            self._statistics.count_unused(error.reason)
            if error.reason != NO_CALIBRATION:  # the watchdog knows more about that
                self._problem(str(error), kind=kind_of(str(error)))
        except ValueError as error:
            self._statistics.count_unused("unusable")
            self._problem(str(error))
        except Exception as error:
            # A robot needs the next image rather than a dead node.
            if self._node.context.ok():  # else the node is being stopped
                self._statistics.count_unused("by a bug")
                self._statistics.note_problem(f"An image was skipped, by a bug: {error!r}")
                if self._throttle.allows(f"bug {error!r}"):
                    self._node.get_logger().error(
                        f"An image was skipped, by a bug:\n{traceback.format_exc()}"
                    )
        else:
            self._statistics.count_processed(
                duration_s=time.perf_counter() - start,
                engine_s=self._pipeline.engine_s - engine_s,
                latency_s=self._age_s(message) if self._has_time() else None,
                found=bool(answer.objects),
            )

    def skip_message(self, error: Exception) -> None:
        """Say that a message could not even be taken."""
        if self._node.context.ok():
            self._problem(f"A message was skipped: {error}", kind=f"skipped {type(error)}")

    def _process(self, message: Image | CompressedImage) -> Answer:
        """Publish what is in an image."""
        settings, age_s = self._pipeline.settings, self._age_s(message)
        if settings.max_age and age_s > settings.max_age:
            raise Unused(
                "too old",
                f"Image dropped: parameter 'max_age' is {settings.max_age:g} s, the image is "
                f"{age_s:.2f} s old. For recorded images set 'use_sim_time' or 'max_age' to 0.",
            )
        answer = self._pipeline.look(message)
        wanted = self._outputs.wanted()
        self._outputs.publish_keypoints(answer, wanted)
        self._pipeline.place(answer, is_asked=needs_places(wanted))
        self._outputs.publish_poses(answer, answer.given.settings, wanted, self._pipeline.remembers)
        for text in answer.problems:
            self._problem(text, kind=kind_of(text))
        self._watchdog.note_answer(len(answer.objects), answer.refused, answer.ignored)
        return answer

    def _age_s(self, message: Image | CompressedImage) -> float:
        now_s = self._node.get_clock().now().nanoseconds * 1e-9
        return float(now_s - stamp_seconds(message.header.stamp))

    def _has_time(self) -> bool:
        """Whether the clock runs: simulated time stands at 0 until it comes in on /clock."""
        return bool(self._node.get_clock().now().nanoseconds)

    def _problem(self, text: str, kind: str = "") -> None:
        """Log a problem; while it lasts, again now and then.

        Args:
            text: the problem.
            kind: problems of one kind are one, whatever their texts; if there is none, each text is
                one of its own, and no flood of such that differ in their numbers comes.
        """
        self._statistics.note_problem(text)
        if kind:
            is_news = self._throttle.allows(kind)
        else:
            is_news = self._throttle.allows(kind_of(text), 1.0) and self._throttle.allows(text)
        if is_news:
            self._node.get_logger().error(text)
