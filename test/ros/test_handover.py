"""What two threads touch: each image is looked at with one set of values, and nothing races."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image

from kp3d_ros.categories import create_categories
from kp3d_ros.handover import Inbox
from kp3d_ros.pipeline import Pipeline
from kp3d_ros.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import CAMERA, UNIT_M, box_around, image_message, pose  # noqa: E402
from tiny_model import draw_scene, write_tiny_model  # noqa: E402

SCENE = draw_scene(CAMERA, pose(2.0, (0.1, 0.05, 2.0)), UNIT_M)


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Threads take turns as often as they can, so that what can race does."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def make_pipeline(settings: Settings, lookup: Any = None) -> Pipeline:
    pipeline = Pipeline(create_categories(settings), settings, lookup)
    pipeline.calibrations.put(CameraInfo(width=640, height=480, k=CAMERA.K.ravel()))
    return pipeline


def image_at(seconds: float) -> Image:
    message = image_message(SCENE)
    message.header.stamp = Time(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))
    return message


def test_what_changes_during_an_image_counts_for_the_next(model: str) -> None:
    during: list[Callable[[], None]] = []

    def lookup(*_: Any) -> Any:
        while during:  # what the other thread does meanwhile
            during.pop()()
        return np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])

    first = Settings(model=model, object_size=2 * UNIT_M, gravity_frame="odom")
    pipeline = make_pipeline(first, lookup)
    image = image_at(1)
    pipeline.inbox.put_detections(box_around(SCENE, image))

    def change() -> None:
        pipeline.settings = first.replace({"max_wrong": 0.9})
        pipeline.inbox.put_detections(None)

    detector, used = pipeline.categories[0].detector, []
    run = detector.engine.run

    def recording_run(crops: Any) -> Any:
        used.append(detector.settings.max_wrong)
        return run(crops)

    detector.engine.run = recording_run
    during.append(change)
    answer = pipeline.process(image)
    assert set(used) == {0.05}
    assert answer.given.settings is first
    assert len(answer.given.detections.detections) == 1

    used.clear()
    answer = pipeline.process(image_at(1.1))
    assert set(used) == {0.9}
    assert answer.given.detections is None


def test_settings_that_cannot_be_used_are_refused_at_once(model: str) -> None:
    settings = Settings(model=model)
    pipeline = make_pipeline(settings)

    with pytest.raises(ValueError, match=r"max_wrong must be in \[0, 1\], got 2"):
        pipeline.settings = Settings(model=model, max_wrong=2.0)
    assert pipeline.settings is settings


@pytest.mark.usefixtures("eager_switching")
def test_diagnostics_are_told_while_objects_come_and_go(model: str) -> None:
    settings = Settings(model=model, object_size=2 * UNIT_M, filter=True)
    pipeline = make_pipeline(settings)
    (found,) = pipeline.process(image_at(1)).objects
    eye, known = np.eye(4), found.category.model
    errors: list[Exception] = []
    told: set[str] = set()
    end = monotonic() + 1.0

    def tell() -> None:  # as the executor's thread does once a second
        try:
            while monotonic() < end:
                told.update(pipeline.facts())
        except RuntimeError as error:
            errors.append(error)

    thread = Thread(target=tell)
    thread.start()
    number = 0
    while monotonic() < end and not errors:
        number += 1
        args = found.detection, known, eye, 1.0, settings
        pipeline.references.place(f"car_{number}", *args)
        pipeline.references.forget(f"car_{number - 20}")
    thread.join()

    assert errors == []
    assert "filter, time constant [s]" in told


@pytest.mark.usefixtures("eager_switching")
def test_wishes_and_messages_survive_concurrent_hands() -> None:
    inbox, end = Inbox(Settings()), monotonic() + 0.5
    put = taken = 0

    def hand_over() -> None:
        nonlocal put
        while monotonic() < end:
            put += 1
            inbox.put_settings(Settings(max_age=float(put % 60)))
            before = taken
            inbox.want_references()
            while taken == before and monotonic() < end + 5:
                pass

    thread = Thread(target=hand_over)
    thread.start()
    while thread.is_alive():
        given = inbox.take()
        taken += given.wants_references
    thread.join()

    assert taken == put  # no wish got lost, none counted twice
    assert inbox.settings.max_age == put % 60


@pytest.mark.usefixtures("eager_switching")
def test_listeners_are_counted_while_subscriptions_come_and_go(
    model: str, make_node: Callable[[str], Any]
) -> None:
    from tf2_msgs.msg import TFMessage

    from kp3d_ros.inputs import TfListener
    from kp3d_ros.outputs import TF_TOPIC
    from kp3d_ros.publishing import Outputs
    from kp3d_ros.tf_buffer import TfBuffer

    node = make_node("detector")
    listener = TfListener(node, TfBuffer())
    outputs = Outputs(node, make_pipeline(Settings(model=model)), own_tf_listeners=1)
    errors: list[Exception] = []
    end = monotonic() + 1.0

    def count() -> None:  # as the worker does at each image
        try:
            while monotonic() < end:
                assert outputs.wanted() == set()
        except Exception as error:
            errors.append(error)

    thread = Thread(target=count)
    thread.start()
    while monotonic() < end and not errors:
        several = [node.create_subscription(Image, "image", print, 1) for _ in range(8)]
        for subscription in several:
            node.destroy_subscription(subscription)
    thread.join()
    assert errors == []

    other = make_node("other")
    other.create_subscription(TFMessage, "/tf", print, 1)
    end = monotonic() + 10
    while TF_TOPIC not in outputs.wanted() and monotonic() < end:
        pass
    assert outputs.wanted() == {TF_TOPIC}
    listener.close()


def test_a_clock_that_is_set_back_reaches_transforms_and_images(
    model: str, make_node: Callable[[str], Any]
) -> None:
    from geometry_msgs.msg import TransformStamped
    from rclpy.time import Time as RclpyTime
    from tf2_msgs.msg import TFMessage

    from kp3d_ros.inputs import Inputs, TfListener
    from kp3d_ros.intake import Intake
    from kp3d_ros.tf_buffer import TfBuffer

    node, settings = make_node("detector"), Settings(model=model)
    buffer, pipeline = TfBuffer(), make_pipeline(settings)
    listener = TfListener(node, buffer)
    intake = Intake(node.context)
    inputs = Inputs(node, pipeline, settings, print, print, intake)
    inputs.open()
    clock = node.get_clock()
    clock._set_ros_time_is_active(True)
    pipeline.inbox.take()

    def set_clock(seconds: int) -> bool:
        transform = TransformStamped(child_frame_id="base")
        transform.header.frame_id = "odom"
        transform.header.stamp.sec = 9
        transform.transform.rotation.w = 1.0
        buffer.add(TFMessage(transforms=[transform]))
        clock.set_ros_time_override(RclpyTime(seconds=seconds, clock_type=clock.clock_type))
        return pipeline.inbox.take().was_set_back

    def knows() -> bool:
        try:
            return buffer.lookup("odom", "base", 9 * 10**9) is not None
        except ValueError:
            return False

    assert [(set_clock(s), knows()) for s in (9, 10, 9, 10)] == [
        (False, True), (False, True), (True, False), (False, True)
    ]  # fmt: skip
    inputs.close()
    intake.close()
    listener.close()
    assert (set_clock(3), knows()) == (False, True)
