"""Grasping: what the planner makes of an answer, and the whole loop in simulation."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import Point, Pose, Vector3
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox3D, Detection3D, ObjectHypothesisWithPose

from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import exp_rotation, invert_transform, transform_points
from kp3d_ros.demo.grasp.cameras import intrinsics, looking_at
from kp3d_ros.demo.grasp.command import missing
from kp3d_ros.demo.grasp.grasps import Estimate, Tolerance, grasps, rim_of
from kp3d_ros.demo.grasp.obstacles import boxes_from, points_of
from kp3d_ros.demo.grasp.sighting import disagreement, estimate_from, fused
from kp3d_ros.demo.grasp.standing import measured_top, standing, with_proportions
from kp3d_ros.demo.grasp.summary import wilson
from kp3d_ros.demo.grasp.views import T_HAND_CAMERA, second_views
from kp3d_ros.messages import pose_with_covariance
from kp3d_ros.msg import Keypoint3D, Keypoints3D

installed = pytest.mark.skipif(
    bool(missing()), reason=f"the extra 'grasp' is not installed: {', '.join(missing())}"
)
RADIUS, HEIGHT, REACH = 0.04, 0.1, 0.03
"""Of a mug: the handle stands off by the third."""


def mug(yaw: float = 0.0, variances: tuple[float, ...] = (1e-6,) * 6) -> Estimate:
    """A mug on the table half a metre before the arm; its box includes the handle, as ever."""
    T = np.eye(4)
    T[:3, :3] = exp_rotation(np.array([0, 0, yaw]))
    T[:3, 3] = 0.5, 0.1, HEIGHT / 2
    size = np.array([2 * RADIUS + REACH, 2 * RADIUS, HEIGHT])
    return Estimate(T, np.diag(variances), np.zeros(3), size, {})


def test_rim_is_found_beside_the_handle() -> None:
    axis, radius, top = rim_of(mug())

    # The handle takes the front of the box: the vessel's axis is behind the middle.
    np.testing.assert_allclose(axis, [-REACH / 2, 0, 0], atol=1e-9)
    assert radius == pytest.approx(RADIUS)
    assert top == pytest.approx(HEIGHT / 2)


def test_rim_is_narrower_than_the_belly_where_keypoints_say_so() -> None:
    seen = mug()
    rim = {
        f"{name}_high": np.array([-REACH / 2 + x, y, HEIGHT / 2])
        for name, x, y in (
            ("middle_left", 0, 0.03),
            ("middle_right", 0, -0.03),
            ("rear_centre", -0.03, 0),
        )
    }
    rim["front_centre_high"] = np.array([REACH, 0, HEIGHT / 2])  # of the handle

    _, radius, _ = rim_of(
        Estimate(seen.T_base_mug, seen.covariance, seen.box_center, seen.box_size, rim)
    )

    assert radius == pytest.approx(0.03)


@pytest.mark.parametrize("yaw", [0.0, 2.0])
def test_fingers_close_across_the_wall_and_never_on_the_handle(yaw: float) -> None:
    seen = mug(yaw)
    axis, _, _ = rim_of(seen)
    center = transform_points(seen.T_base_mug, axis[None])[0]
    found = [grasp for grasp in grasps(seen, Tolerance()) if grasp.kind == "rim"]

    assert len(found) > 20
    for grasp in found:
        T = grasp.T_base_tcp
        out = T[:2, 3] - center[:2]
        assert np.linalg.norm(out) == pytest.approx(RADIUS - 0.002)  # the middle of the wall
        assert abs(T[:2, 1] @ out) == pytest.approx(np.linalg.norm(out))  # across it
        np.testing.assert_allclose(T[:3, 2], [0, 0, -1], atol=1e-12)
        assert np.linalg.det(T[:3, :3]) == pytest.approx(1)
        to_handle = math.remainder(math.atan2(out[1], out[0]) - yaw, math.tau)
        assert abs(to_handle) > math.radians(39)
        assert T[2, 3] < HEIGHT


def test_the_grasp_closes_where_the_place_is_certain() -> None:
    along_x = mug(variances=(0.010**2, 0.002**2, 0.002**2, 1e-6, 1e-6, 1e-6))

    best = grasps(along_x, Tolerance())[0]

    # 10 mm along x are too much across the wall, and bearable along it: the fingers close along y.
    assert abs(best.T_base_tcp[1, 1]) > 0.9
    assert best.strain < 1
    assert max(grasp.strain for grasp in grasps(along_x, Tolerance())) > 1


def test_nothing_bears_two_centimetres_in_height() -> None:
    high = mug(variances=(1e-6, 1e-6, 0.02**2, 1e-6, 1e-6, 1e-6))

    assert min(grasp.strain for grasp in grasps(high, Tolerance())) > 1.5


def test_a_mug_stands_on_the_table() -> None:
    ray = np.array([-0.8, 0, -0.6])  # of a camera that looks down on it
    covariance = np.diag([1e-6] * 6)
    covariance[:3, :3] += 0.05**2 * np.outer(ray, ray)
    seen = mug()
    far = replace(seen, covariance=covariance, T_base_mug=seen.T_base_mug.copy())
    far.T_base_mug[:3, 3] += 0.04 * ray  # below the table

    upright = standing(far, HEIGHT)

    # The height over the table tells how far along the ray it is.
    assert upright is not None
    np.testing.assert_allclose(upright.T_base_mug[:3, 3], seen.T_base_mug[:3, 3], atol=0.0015)
    assert np.sqrt(np.linalg.eigvalsh(upright.covariance[:3, :3]).max()) < 0.008
    assert rim_of(upright)[2] + upright.T_base_mug[2, 3] == pytest.approx(HEIGHT)
    assert grasps(upright, Tolerance())[0].strain < 1 < grasps(far, Tolerance())[0].strain


def test_a_certain_pose_stays_where_it_is() -> None:
    certain = mug(variances=(1e-8,) * 6)
    certain.T_base_mug[2, 3] -= 0.0015  # a table is not level to a hair

    upright = standing(certain, None)

    assert upright is not None
    np.testing.assert_allclose(upright.T_base_mug, certain.T_base_mug, atol=1e-5)


def test_what_floats_is_no_mug() -> None:
    floating = mug()
    floating.T_base_mug[2, 3] += 0.05

    assert standing(floating, HEIGHT) is None


def test_depth_images_tell_the_height_of_the_rim() -> None:
    angles = np.linspace(0, 2 * math.pi, 60)
    axis = mug().T_base_mug[:3, 3] - [REACH / 2, 0, 0]
    rim = axis + np.stack([RADIUS * np.cos(angles), RADIUS * np.sin(angles), 0 * angles], 1)
    rim[:, 2] = 0.07  # lower than the mug's proportions say
    beside = axis + np.array([[0.1, 0.0, 0.1]] * 200)

    assert measured_top(mug(), np.vstack([rim, beside])) == pytest.approx(0.07)
    assert measured_top(mug(), beside) is None


def test_a_box_of_keypoints_gives_way_to_the_proportions_of_mugs() -> None:
    whole = with_proportions(replace(mug(), box_size=np.full(3, 0.05)), 0.06)

    np.testing.assert_allclose(whole.box_size, [0.1186, 0.0862, 0.0896], atol=1e-3)
    assert whole.top_std == pytest.approx(0.009, abs=1e-3)


def test_estimate_is_in_the_frame_of_the_arm() -> None:
    T_base_camera = looking_at(np.array([1.1, 0.1, 0.6]), np.array([0.5, 0, 0]))
    T_base_mug = mug(1.0).T_base_mug
    T = invert_transform(T_base_camera) @ T_base_mug
    # Uncertain along the camera's axis, z.
    covariance = np.diag([1e-6, 1e-6, 4e-4, 1e-6, 1e-6, 1e-6])
    detection = Detection3D(header=Header(), id="mug_1")
    pose = pose_with_covariance(T, covariance)
    detection.results = [ObjectHypothesisWithPose(pose=pose)]
    ahead = (T @ [0.01, 0, 0, 1])[:3].tolist()
    center = Pose(position=Point(x=ahead[0], y=ahead[1], z=ahead[2]))
    center.orientation = pose.pose.orientation
    detection.bbox = BoundingBox3D(center=center, size=Vector3(x=0.11, y=0.08, z=0.1))
    x, y, z = (T @ [0.05, 0.0, 0.02, 1])[:3].tolist()
    keypoints = Keypoints3D(
        keypoints=[
            Keypoint3D(name="front", position=Point(x=x, y=y, z=z)),
            Keypoint3D(name="absent", position=Point(x=math.nan, y=math.nan, z=math.nan)),
        ]
    )

    seen = estimate_from(detection, keypoints, T_base_camera)

    np.testing.assert_allclose(seen.T_base_mug, T_base_mug, atol=1e-9)
    np.testing.assert_allclose(seen.box_center, [0.01, 0, 0], atol=1e-9)
    assert list(seen.keypoints) == ["front"]
    np.testing.assert_allclose(seen.keypoints["front"], [0.05, 0, 0.02], atol=1e-9)
    ray = T_base_camera[:3, 2]
    assert ray @ seen.covariance[:3, :3] @ ray == pytest.approx(4e-4)


def test_two_views_are_better_than_one() -> None:
    truth = mug()
    first = mug(variances=(0.02**2, 0.001**2, 0.001**2, 1e-4, 1e-4, 1e-4))
    first.T_base_mug[0, 3] += 0.02
    second = mug(variances=(0.001**2, 0.02**2, 0.001**2, 1e-4, 1e-4, 1e-4))
    second.T_base_mug[1, 3] -= 0.02

    both = fused(first, second)

    assert np.linalg.norm(both.T_base_mug[:3, 3] - truth.T_base_mug[:3, 3]) < 0.0002
    assert np.sqrt(np.diag(both.covariance)[:2]).max() < 0.0011
    assert disagreement(first, second) == pytest.approx(math.sqrt(2), rel=0.01)


def test_hand_camera_looks_at_the_mug_from_across() -> None:
    target = np.array([0.5, 0.1, 0.05])

    views = list(second_views(target))

    for T_base_hand in views:
        T_base_camera = T_base_hand @ T_HAND_CAMERA
        uv = project(transform_points(invert_transform(T_base_camera), target[None]), intrinsics())
        np.testing.assert_allclose(uv[0], [319.5, 239.5], atol=1e-6)
    assert (views[0] @ T_HAND_CAMERA)[0, 3] < target[0]  # the fixed camera stands at greater x


def test_obstacles_are_what_stands_beside_the_mug() -> None:
    eye = np.array([0.5, 0.1, 0.8])
    T_base_camera = np.eye(4)
    T_base_camera[:3, :3] = np.diag([1.0, -1.0, -1.0])  # straight down
    T_base_camera[:3, 3] = eye
    K = intrinsics(320, 240)
    depth = np.full((240, 320), 0.8, np.float32)  # the table
    u, v = project(np.array([[0.15, 0.0, 0.7]]), K)[0].astype(int)
    depth[v - 15 : v + 16, u - 15 : u + 16] = 0.7  # a box, 0.1 m high, 0.15 m beside the mug
    depth[105:135, 145:175] = 0.7  # the mug itself
    depth[0, 0] = 0  # nothing was measured

    boxes = boxes_from(points_of(depth, K, T_base_camera), mug())

    assert boxes
    for center, half in boxes:
        assert np.linalg.norm(center[:2] - [0.65, 0.1]) < 0.07
        assert center[2] + half[2] == pytest.approx(0.1, abs=0.002)


def test_interval_of_a_rate() -> None:
    # 8 of 10, by the formula of Wilson's paper.
    assert wilson(8, 10) == pytest.approx([0.4902, 0.9433], abs=2e-4)
    assert wilson(0, 0) is None


@installed
def test_truth_is_where_the_pixels_are(tmp_path: Path) -> None:
    from kp3d_ros.demo.grasp.objects import made_mug
    from kp3d_ros.demo.grasp.scenes import draw_scene
    from kp3d_ros.demo.grasp.world import World

    item = made_mug(30_000_104)
    world = World(draw_scene(4, item, clutter=False), tmp_path)
    try:
        picture = world.look(in_hand=False)
        T = invert_transform(world.camera_pose(in_hand=False)) @ world.mug_pose()
    finally:
        world.close()

    points = transform_points(T, item.mesh.vertices.astype(np.float64))
    uv = project(points, intrinsics())
    box = world.mug_box(picture)
    assert box is not None
    # A pixel is drawn if its centre is covered.
    expected = [*np.ceil(uv.min(axis=0)), *np.floor(uv.max(axis=0))]
    np.testing.assert_allclose(box, expected, atol=1)
    depth = picture.depth_m[picture.body == world.mug]
    assert points[:, 2].min() - 0.008 < depth.min() < points[:, 2].min() + 0.01
    assert np.abs(np.diag(T[:3, :3].T @ T[:3, :3]) - 1).max() < 1e-6


@installed
def test_arm_goes_where_it_is_told_and_around_nothing() -> None:
    from kp3d_ros.demo.grasp.arm import Arm
    from kp3d_ros.demo.grasp.bullet import HOME, OPEN_M

    arm = Arm()
    try:
        grasp = grasps(mug(), Tolerance())[0]
        angles = arm.angles_for(grasp.T_base_tcp, HOME)
        assert angles is not None
        np.testing.assert_allclose(arm.tcp(angles), grasp.T_base_tcp, atol=0.005)
        assert arm.is_free(angles, OPEN_M)

        # What fits between the fingers may stay there, what does not may not.
        arm.set_obstacles([(grasp.T_base_tcp[:3, 3], np.full(3, 0.02))])
        assert arm.is_free(angles, OPEN_M)
        arm.set_obstacles([(grasp.T_base_tcp[:3, 3], np.full(3, 0.06))])
        assert not arm.is_free(angles, OPEN_M)

        arm.set_obstacles([])
        under = grasp.T_base_tcp.copy()
        under[2, 3] = -0.02
        below = arm.angles_for(under, HOME)
        assert below is not None
        assert not arm.is_free(below, OPEN_M)
        under[0, 3] = 2.0
        assert arm.angles_for(under, HOME) is None
    finally:
        arm.close()


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kp3d_ros.demo", "grasp", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)


@installed
def test_three_mugs_are_picked_up_by_their_true_pose(tmp_path: Path) -> None:
    result = run_demo("--true-pose", "--trials", "3", "--first", "2", "--output", str(tmp_path))

    assert result.returncode == 0, result.stdout + result.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["picked_up"] == summary["trials"] == 3, result.stdout
    assert summary["settings"]["first_mug_seed"] == 30_000_102
    assert summary["error_mm"]["p90"] < 1
    assert 20_000 < (tmp_path / "grasp.gif").stat().st_size < 3_000_000
    assert "3 of 3" in result.stdout


@installed
def test_missing_model_is_named(tmp_path: Path) -> None:
    result = run_demo("--model", "nothing", "--trials", "1", "--output", str(tmp_path))

    assert result.returncode == 1
    assert "The demo failed." in result.stdout
    assert "nothing" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_settings_that_contradict_each_other(tmp_path: Path) -> None:
    result = run_demo("--size-error", "0.1", "--output", str(tmp_path))

    assert result.returncode == 1
    text = " ".join(result.stdout.split())
    assert "--size-error needs --no-depth" in text or "not installed here" in text
