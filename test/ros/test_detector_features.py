"""What the node can be set to do, with the real node over DDS and known truth."""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker

from kp3d_core.geometry.rotation import exp_rotation
from kp3d_ros.demo.measure import pose_matrix, transform_matrix
from kp3d_ros.messages import transform_message
from kp3d_ros.msg import KeypointLayout, Keypoints3D, Keypoints3DArray

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "test/core/inference"))
sys.path.insert(0, str(Path(__file__).parent))
from node_rig import (  # noqa: E402
    CAMERA,
    FRAME,
    Client,
    ManagedNode,
    boxes_around,
    image_message,
    open_client,
    pose,
    stamp_key,
)
from tiny_model import CANONICAL, draw_scene, project_with_opencv, write_tiny_model  # noqa: E402

# The tiny model is right to about half a degree and half a percent here; twice that is allowed.
ANGLE_TOLERANCE_DEG = 1.0
DISTANCE_TOLERANCE = 0.01
UNIT_M = 0.3
T_LEFT, T_RIGHT = pose(2.0, (-0.7, 0.0, 2.4)), pose(1.6, (0.7, 0.1, 2.4))
LEFT, RIGHT = draw_scene(CAMERA, T_LEFT, UNIT_M), draw_scene(CAMERA, T_RIGHT, UNIT_M)
BOTH = np.maximum(LEFT, RIGHT)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedNode]:
    node = ManagedNode(tmp_path_factory.mktemp("log") / "node.log")
    yield node
    assert node.stop() == 0
    assert "Traceback" not in node.log()


@pytest.fixture(scope="module")
def client(node: ManagedNode) -> Iterator[Client]:
    with open_client(wait=False) as opened:
        yield opened


def send(client: Client, rgb: NDArray[np.uint8], boxes: dict[str, NDArray[np.uint8]]) -> Any:
    """Publish an image with boxes; returns its stamp."""
    image = image_message(rgb)
    image.header.stamp = client.node.get_clock().now().to_msg()
    client.info.header = image.header
    client.infos.publish(client.info)
    client.boxes.publish(boxes_around(boxes, image))
    client.images.publish(image)
    return stamp_key(image)


def see(client: Client, rgb: NDArray[np.uint8], boxes: dict[str, NDArray[np.uint8]]) -> Any:
    """Send an image until as many objects are found as there are boxes; its stamp."""
    sent: list[Any] = []

    def answered() -> list[Any]:
        found = [
            key
            for key in sent
            if len(getattr(client.keypoints.get(key), "instances", ())) == len(boxes)
        ]
        return [key for key in found if key in client.transforms and key in client.detections]

    client.spin(answered, each=lambda: sent.append(send(client, rgb, boxes)))
    return answered()[0]


def assert_close(T: NDArray[np.float64], truth: NDArray[np.float64], factor: float = 1.0) -> None:
    turn = cv2.Rodrigues(T[:3, :3].T @ truth[:3, :3])[0]
    assert math.degrees(float(np.linalg.norm(turn))) < factor * ANGLE_TOLERANCE_DEG
    distance = np.linalg.norm(T[:3, 3] - truth[:3, 3])
    assert distance < factor * DISTANCE_TOLERANCE * np.linalg.norm(truth[:3, 3])


def absolute_poses(message: TFMessage) -> dict[str, NDArray[np.float64]]:
    """Pose of each object in the frame at the root, from a message of /tf."""
    steps = {t.child_frame_id: t for t in message.transforms}
    return {
        child: transform_matrix(steps[step.header.frame_id].transform)
        @ transform_matrix(step.transform)
        for child, step in steps.items()
        if step.header.frame_id in steps
    }


def test_two_categories_at_once(node: ManagedNode, client: Client, model: str) -> None:
    size = 2 * UNIT_M
    node.bring_up(client, models=[f"mug={model}@{size}", f"cup={model}@{size}"], threads=1)
    qos = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    client.node.create_subscription(KeypointLayout, "detector/layout", client.layouts.append, qos)

    stamp = see(client, BOTH, {"mug": LEFT, "cup": RIGHT})

    instances = {item.class_id: item for item in client.keypoints[stamp].instances}
    assert instances.keys() == {"mug", "cup"}
    poses = absolute_poses(client.transforms[stamp])
    assert_close(poses["mug"], T_LEFT, 2)
    assert_close(poses["cup"], T_RIGHT, 2)
    client.spin(lambda: len(client.layouts) >= 2)
    assert {layout.class_id for layout in client.layouts} == {"mug", "cup"}
    for item in client.detections[stamp].detections:
        (result,) = item.results
        truth = T_LEFT if result.hypothesis.class_id == "mug" else T_RIGHT
        assert_close(pose_matrix(result.pose.pose), truth)
        assert (np.linalg.eigvalsh(np.reshape(result.pose.covariance, (6, 6))) > 0).all()
        # The box holds the keypoints.
        size_m = [item.bbox.size.x, item.bbox.size.y, item.bbox.size.z]
        np.testing.assert_allclose(size_m, np.ptp(CANONICAL, axis=0) * UNIT_M, atol=0.03)
        assert item.id == instances[result.hypothesis.class_id].instance_id


def test_several_objects_keep_their_names_and_lost_ones_go(
    node: ManagedNode, client: Client, model: str
) -> None:
    node.bring_up(
        client,
        model=model,
        object_size=2 * UNIT_M,
        max_objects=3,
        lost_timeout=0.5,
        detections_required=True,
        threads=1,
    )
    stamp = see(client, BOTH, {"a": LEFT, "b": RIGHT})
    first = absolute_poses(client.transforms[stamp])
    assert len(first) == 2
    left = min(first, key=lambda name: first[name][0, 3])
    (right,) = first.keys() - {left}
    assert_close(first[left], T_LEFT, 2)
    assert_close(first[right], T_RIGHT, 2)

    # The other way round, and moved.
    swapped = see(client, BOTH, {"b": RIGHT, "a": LEFT})
    again = absolute_poses(client.transforms[swapped])
    assert_close(again[left], first[left], 2)
    assert_close(again[right], first[right], 2)

    client.markers.clear()
    sent: list[Any] = []

    def deleted() -> set[str]:
        markers = [m for message in client.markers for m in message.markers]
        return {m.ns for m in markers if m.action == Marker.DELETE}

    client.spin(
        lambda: right in deleted(), each=lambda: sent.append(send(client, LEFT, {"a": LEFT}))
    )
    assert deleted() == {right}
    client.spin(lambda: sent[-1] in client.transforms)
    names = {t.child_frame_id for t in client.transforms[sent[-1]].transforms}
    assert names == {left, f"{left}_reference"}

    # What comes later is another object.
    stamp = see(client, BOTH, {"a": LEFT, "b": RIGHT})
    assert right not in absolute_poses(client.transforms[stamp])
    assert left in absolute_poses(client.transforms[stamp])


@pytest.mark.parametrize(("encoding", "shape_hw"), [("16UC1", (240, 320)), ("32FC1", (480, 640))])
def test_depth_image_tells_the_scale(
    node: ManagedNode, client: Client, model: str, encoding: str, shape_hw: tuple[int, int]
) -> None:
    node.bring_up(client, model=model, use_depth=True, depth_max_age=1.0, threads=1)
    depths = client.node.create_publisher(Image, "depth", qos_profile_sensor_data)
    depth_m = np.zeros(shape_hw, np.float32)
    points = CANONICAL * UNIT_M @ T_LEFT[:3, :3].T + T_LEFT[:3, 3]
    scale = shape_hw[0] / 480
    for (u, v), z in zip(project_with_opencv(CAMERA, points), points[:, 2], strict=True):
        column, row = int((u + 0.5) * scale), int((v + 0.5) * scale)
        depth_m[row - 2 : row + 3, column - 2 : column + 3] = z
    is_mm = encoding == "16UC1"
    values = np.round(depth_m * 1000).astype("<u2") if is_mm else np.where(depth_m, depth_m, np.nan)
    depth = Image(height=shape_hw[0], width=shape_hw[1], encoding=encoding)
    depth.step = values.itemsize * shape_hw[1]
    depth.data = array.array("B", values.tobytes())

    def both() -> Any:
        depth.header.stamp = client.node.get_clock().now().to_msg()
        depths.publish(depth)
        return send(client, LEFT, {"a": LEFT})

    sent: list[Any] = []
    client.spin(lambda: any(key in client.poses for key in sent), each=lambda: sent.append(both()))

    stamp = next(key for key in sent if key in client.poses)
    assert_close(pose_matrix(client.poses[stamp].pose.pose), T_LEFT)
    (instance,) = client.keypoints[stamp].instances
    assert instance.scale_source == Keypoints3D.SCALE_DEPTH
    assert instance.metric
    assert instance.model_unit_m == pytest.approx(UNIT_M, rel=DISTANCE_TOLERANCE)


@pytest.mark.parametrize(("suffix", "format_"), [(".png", "rgb8; png"), (".jpg", "jpeg")])
def test_compressed_images(
    node: ManagedNode, client: Client, model: str, suffix: str, format_: str
) -> None:
    node.bring_up(
        client, model=model, object_size=2 * UNIT_M, image_transport="compressed", threads=1
    )
    images = client.node.create_publisher(
        CompressedImage, "image/compressed", qos_profile_sensor_data
    )
    ok, encoded = cv2.imencode(suffix, LEFT[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    assert ok
    message = CompressedImage(format=format_, data=array.array("B", encoded.tobytes()))
    message.header.frame_id = FRAME

    def publish() -> Any:
        message.header.stamp = client.node.get_clock().now().to_msg()
        client.infos.publish(client.info)
        images.publish(message)
        return stamp_key(message)

    sent: list[Any] = []
    client.spin(
        lambda: any(key in client.poses for key in sent), each=lambda: sent.append(publish())
    )
    stamp = next(key for key in sent if key in client.poses)
    # JPEG bleeds colours over the discs' edges.
    factor = 3 if suffix == ".jpg" else 1
    assert_close(pose_matrix(client.poses[stamp].pose.pose), T_LEFT, factor)


def test_fixed_frame_anchors_the_reference_while_the_camera_moves(
    node: ManagedNode, client: Client, model: str
) -> None:
    node.bring_up(
        client,
        model=model,
        object_size=2 * UNIT_M,
        fixed_frame="odom",
        gravity_frame="odom",
        tf_timeout=2.0,
        threads=1,
    )
    tf = client.node.create_publisher(TFMessage, "/tf", 100)
    level = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # odom: x ahead, z up

    def look(T_odom_camera: NDArray[np.float64], T_odom_object: NDArray[np.float64]) -> Any:
        rgb = draw_scene(CAMERA, np.linalg.inv(T_odom_camera) @ T_odom_object, UNIT_M)
        sent: list[Any] = []

        def publish() -> None:
            stamp = send(client, rgb, {"a": rgb})
            header = client.info.header
            header.frame_id = "odom"
            tf.publish(TFMessage(transforms=[transform_message(header, FRAME, T_odom_camera)]))
            header.frame_id = FRAME
            sent.append(stamp)

        # The first image after a jump still shows the object off the crop's centre.
        client.spin(lambda: sum(key in client.relative for key in sent) > 3, each=publish)
        stamp = [key for key in sent if key in client.relative][-1]
        client.spin(lambda: stamp in client.transforms)
        return stamp

    T_odom_camera = np.eye(4)
    T_odom_camera[:3, :3] = level
    T_odom_object = T_odom_camera @ pose(2.0, (0.1, 0.05, 2.0))
    first = look(T_odom_camera, T_odom_object)
    moved = T_odom_camera.copy()
    moved[:3, :3] = level @ exp_rotation(np.array([0.05, -0.06, 0.1]))
    moved[:3, 3] = 0.2, -0.1, 0.05

    still = look(moved, T_odom_object)

    reference = client.transforms[still].transforms[0]
    assert reference.header.frame_id == "odom"
    assert stamp_key(reference) == still
    assert_close(transform_matrix(reference.transform), T_odom_object, 2)
    assert client.transforms[first].transforms[0].transform == reference.transform
    # The camera has moved by 0.23 m and 7 degrees, the object has not.
    motion = pose_matrix(client.relative[still].pose.pose)
    assert math.degrees(np.linalg.norm(cv2.Rodrigues(motion[:3, :3])[0])) < 2 * ANGLE_TOLERANCE_DEG
    assert np.linalg.norm(motion[:3, 3]) < 2 * DISTANCE_TOLERANCE * 2.0


def test_overlay_shows_what_was_found(node: ManagedNode, client: Client, model: str) -> None:
    node.bring_up(client, model=model, object_size=2 * UNIT_M, threads=1)
    overlays: dict[Any, Image] = {}
    subscription = client.node.create_subscription(
        Image, "detector/overlay", lambda m: overlays.__setitem__(stamp_key(m), m), 10
    )
    sent: list[Any] = []

    def seen() -> list[Any]:
        return [key for key in sent if key in overlays and key in client.poses]

    client.spin(seen, each=lambda: sent.append(send(client, LEFT, {"a": LEFT})))
    overlay = overlays[seen()[0]]
    client.node.destroy_subscription(subscription)

    assert (overlay.width, overlay.height, overlay.encoding) == (640, 480, "rgb8")
    assert overlay.header.frame_id == FRAME
    pixels = np.frombuffer(overlay.data, np.uint8).reshape(480, 640, 3)
    (instance,) = client.keypoints[seen()[0]].instances
    changed = (pixels != LEFT).any(axis=2)
    assert all(changed[round(k.v), round(k.u)] for k in instance.keypoints)
    assert not changed[:, 400:].any()  # the other half of the image is as it was


def test_quality_of_service_can_be_overridden(tmp_path: Path, client: Client, model: str) -> None:
    overrides = tmp_path / "qos.yaml"
    overrides.write_text(
        "/**:\n  ros__parameters:\n    qos_overrides:\n"
        "      /other/image: {subscription: {reliability: reliable}}\n"
        "      /other/camera_info: {subscription: {durability: transient_local, "
        "reliability: reliable}}\n"
    )
    from node_rig import NodeProcess

    # A calibration that is sent once, before anybody listens, and kept for those who ask.
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    client.node.create_publisher(CameraInfo, "/other/camera_info", latched).publish(client.info)
    images = client.node.create_publisher(Image, "/other/image", 1)
    other = NodeProcess(
        tmp_path / "log", arguments=["-r", "__ns:=/other", "--params-file", str(overrides)],
        model=model, object_size=2 * UNIT_M, threads=1,
    )  # fmt: skip
    answers: list[Keypoints3DArray] = []
    client.node.create_subscription(
        Keypoints3DArray, "/other/detector/keypoints", answers.append, 10
    )

    def publish() -> None:
        image = image_message(LEFT)
        image.header.stamp = client.node.get_clock().now().to_msg()
        images.publish(image)

    client.spin(lambda: any(answer.instances for answer in answers), each=publish)

    def qos(topic: str) -> tuple[str, str]:
        (info,) = client.node.get_subscriptions_info_by_topic(topic)
        return info.qos_profile.reliability.name, info.qos_profile.durability.name

    assert qos("/other/image") == ("RELIABLE", "VOLATILE")
    assert qos("/other/camera_info") == ("RELIABLE", "TRANSIENT_LOCAL")
    # An override is for one topic.
    assert qos("/other/detections") == ("BEST_EFFORT", "VOLATILE")
    assert other.stop() == 0
