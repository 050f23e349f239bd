"""The environment that `make env` builds: our messages, the overlay, the pinned versions."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import Point, TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster
from vision_msgs.msg import Detection2D, Detection3D, LabelInfo, ObjectHypothesisWithPose

from kp3d_ros.msg import Keypoint3D, KeypointLayout, Keypoints3D, Keypoints3DArray

ROOT = Path(__file__).parents[2]
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def test_source_tree_does_not_hide_generated_messages():
    import kp3d_ros

    assert Path(kp3d_ros.__file__) == ROOT / "kp3d_ros" / "__init__.py"
    assert len(kp3d_ros.__path__) >= 2


def test_plain_interpreter_finds_messages_from_any_folder(tmp_path):
    # As a user starts it: without the variables that this process has set for its children.
    ours = ("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "LD_LIBRARY_PATH")
    sourced = bool(os.environ.get("AMENT_PREFIX_PATH"))
    env = {k: v for k, v in os.environ.items() if sourced or k not in ours}
    code = (
        "from rclpy.type_support import check_for_type_support as check\n"
        "from kp3d_ros.msg import Keypoints3DArray as A\n"
        "from tf2_msgs.msg import TFMessage as B\n"
        "from vision_msgs.msg import Detection3DArray as C\n"
        "[check(m) for m in (A, B, C)]"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True)


def test_keypoints_survive_the_wire(make_node, spin_until):
    sender, receiver = make_node("sender"), make_node("receiver")
    received = []
    receiver.create_subscription(Keypoints3DArray, "keypoints", received.append, 1)
    publisher = sender.create_publisher(Keypoints3DArray, "keypoints", 1)
    keypoint = Keypoint3D(
        id=3,
        name="wheel_front_left",
        position=Point(x=0.1, y=-0.2, z=1.5),
        covariance=np.arange(9.0),
        score=0.75,
        u=319.25,
        v=-4.5,
        visibility=Keypoint3D.VISIBILITY_OUTSIDE_IMAGE,
    )
    car = Keypoints3D(
        instance_id="7",
        class_id="car",
        score=0.5,
        metric=True,
        scale_source=Keypoints3D.SCALE_OBJECT_SIZE,
        model_unit_m=2.25,
        keypoints=[keypoint, Keypoint3D(id=4, covariance=[-1.0] + [0.0] * 8)],
    )
    car.header.frame_id = "camera_optical_frame"
    car.header.stamp.nanosec = 123
    sent = Keypoints3DArray(header=car.header, instances=[car])

    spin_until(lambda: received, sender, receiver, each=lambda: publisher.publish(sent))

    got = received[0]
    np.testing.assert_array_equal(got.instances[0].keypoints[0].covariance, np.arange(9.0))
    assert str(got) == str(sent)


def test_layout_reaches_a_late_subscriber(make_node, spin_until):
    sender, receiver = make_node("sender"), make_node("receiver")
    layout = KeypointLayout(class_id="car", names=["a", "b"], edges=[0, 1], symmetry="none")
    sender.create_publisher(KeypointLayout, "layout", LATCHED).publish(layout)
    received = []
    receiver.create_subscription(KeypointLayout, "layout", received.append, LATCHED)

    spin_until(lambda: received, sender, receiver)

    assert list(received[0].edges) == [0, 1]
    assert received[0].names == ["a", "b"]


def _transform(child: str, x: float) -> TransformStamped:
    transform = TransformStamped(child_frame_id=child)
    transform.header.frame_id = "camera"
    transform.transform.translation.x = x
    return transform


def test_broadcaster_publishes_on_tf(make_node, spin_until):
    sender, receiver = make_node("sender"), make_node("receiver")
    received: list[TFMessage] = []
    receiver.create_subscription(TFMessage, "/tf", received.append, 100)
    broadcaster = TransformBroadcaster(sender)
    both = [_transform("a", 1.0), _transform("b", 2.0)]

    spin_until(lambda: received, sender, receiver, each=lambda: broadcaster.sendTransform(both))

    assert [t.child_frame_id for t in received[0].transforms] == ["a", "b"]
    assert received[0].transforms[1].transform.translation.x == 2.0
    assert received[0].transforms[0].header.frame_id == "camera"


def test_static_broadcaster_keeps_all_transforms_for_late_subscribers(make_node, spin_until):
    sender, receiver = make_node("sender"), make_node("receiver")
    broadcaster = StaticTransformBroadcaster(sender)
    broadcaster.sendTransform(_transform("a", 1.0))
    broadcaster.sendTransform(_transform("b", 2.0))
    broadcaster.sendTransform(_transform("a", 3.0))
    received: list[TFMessage] = []
    receiver.create_subscription(TFMessage, "/tf_static", received.append, LATCHED)

    spin_until(lambda: received, sender, receiver)

    sent = {t.child_frame_id: t.transform.translation.x for t in received[-1].transforms}
    assert sent == {"a": 3.0, "b": 2.0}


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        # As in vision_msgs 4 (ROS 2 Humble and later), so that a detector on a robot is understood.
        (Detection2D, "header results bbox id"),
        (Detection3D, "header results bbox id"),
        (LabelInfo, "header class_map threshold"),
        (ObjectHypothesisWithPose, "hypothesis pose"),
        (TFMessage, "transforms"),
    ],
)
def test_overlay_messages_have_the_public_fields(message, fields):
    assert " ".join(message.get_fields_and_field_types()) == fields


def test_every_installed_package_is_pinned():
    if not (Path(sys.prefix) / "made_by_kp3d").exists():
        pytest.skip("not running in the environment that `make test` creates")
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines if "==" in line}
    site = [str(p) for p in Path(sys.prefix).glob("lib/python*/site-packages")]
    installed = {
        re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower()
        for d in importlib.metadata.distributions(path=site)
        if d.read_text("INSTALLER")  # not the egg-info that message packages leave behind
    }
    assert installed - pinned - {"kp3d", "pip"} == set()


def test_the_two_manifests_agree_on_the_version():
    manifest = re.search(r"<version>(.+)</version>", (ROOT / "package.xml").read_text())
    project = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert manifest
    assert project
    assert manifest[1] == project[1]
