"""Camera sampling: conventions by hand, statistics against the published ones."""

import math

import numpy as np
import pytest

from kp3d_core.data.cameras import (
    CAMERAS,
    PaperCamera,
    RobotCamera,
    camera_by_name,
    camera_from_dict,
    camera_to_dict,
    look_along,
    roll_matrix,
)


def sample_many(camera, n, size=128, seed=0):
    rng = np.random.default_rng(seed)
    return [camera.sample(rng, size) for _ in range(n)]


def rotations(views):
    return np.stack([view.T_camera_object[:3, :3] for view in views])


def positions(views):
    """Camera positions in the object frame."""
    T = np.stack([view.T_camera_object for view in views])
    return -np.einsum("nji,nj->ni", T[:, :3, :3], T[:, :3, 3])


@pytest.fixture(scope="module")
def paper_views():
    return sample_many(PaperCamera(), 8000)


@pytest.fixture(scope="module")
def robot_views():
    return sample_many(RobotCamera(), 4000)


def test_shapes_and_rigid_matrices(paper_views, robot_views):
    for view in (*paper_views[:50], *robot_views[:50]):
        assert view.K.shape == (3, 3)
        assert view.T_camera_object.shape == (4, 4)
        R = view.T_camera_object[:3, :3]
        assert np.allclose(R @ R.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(R) == pytest.approx(1)
        assert view.distance == view.T_camera_object[2, 3]


def test_focal_length_and_principal_point_of_the_paper_camera():
    # 1 / tan(2.5 deg) = 22.9037655484 half images.
    assert PaperCamera().focal_px(128) == pytest.approx(22.9037655484 * 64, rel=1e-10)
    K = sample_many(PaperCamera(), 1)[0].K
    assert K[0, 0] == K[1, 1] == PaperCamera().focal_px(128)
    assert K[0, 2] == K[1, 2] == 63.5  # pixel centres are at integers
    # A point one unit beside the axis at distance 30: 0.76345885 half images from the centre.
    u = (K @ (1, 0, 30))[0] / 30
    assert u == pytest.approx(63.5 + 0.76345885 * 64)


def test_camera_before_the_front_of_the_object():
    R = look_along(np.array([-1.0, 0.0, 0.0]))  # stands at +x, looks back at the object
    front, left, up = R.T
    assert front == pytest.approx([0, 0, -1])  # towards the camera
    assert left == pytest.approx([1, 0, 0])  # the object's left is on the right of the image
    assert up == pytest.approx([0, -1, 0])


def test_looking_straight_down_is_defined():
    R = look_along(np.array([0.0, 0.0, -1.0]))
    assert R @ R.T == pytest.approx(np.eye(3))
    assert R @ (1, 0, 0) == pytest.approx([0, -1, 0])  # the front points up in the image


def test_positive_roll_turns_the_image_clockwise():
    # Right in the image (x) turns towards down (y).
    assert roll_matrix(math.pi / 2) @ (1, 0, 0) == pytest.approx([0, 1, 0])


def test_paper_elevation_statistics(paper_views):
    height = -rotations(paper_views)[:, 2, 2]  # the camera looks along row 2
    elevation = np.degrees(np.arcsin(height))
    # Published: mean 32.7, median 30.0, 5-95 % 2.8-72.0 deg; about four standard errors each.
    assert elevation.mean() == pytest.approx(32.7, abs=0.6)
    assert np.median(elevation) == pytest.approx(30.0, abs=1.0)
    assert np.percentile(elevation, [5, 95]) == pytest.approx([2.8, 72.0], abs=1.0)


def test_paper_relative_rotation_statistics(paper_views):
    R = rotations(paper_views)
    trace = np.einsum("nij,nij->n", R[0::2], R[1::2])
    angle = np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))
    assert angle.mean() == pytest.approx(95.8, abs=2)
    assert np.median(angle) == pytest.approx(94.5, abs=2.5)
    assert (angle < 90).mean() == pytest.approx(0.47, abs=0.02)


def test_paper_jitter_moves_the_camera_without_turning_it(paper_views):
    R, position = rotations(paper_views), positions(paper_views)
    offset = position + 30 * R[:, 2]
    assert np.abs(offset).max() <= 0.2 + 1e-9
    assert np.abs(offset).max() > 0.19
    assert position[:, 2].min() >= 0
    t = np.stack([view.T_camera_object[:3, 3] for view in paper_views])
    assert t[:, 2].std() == pytest.approx(0.2 / math.sqrt(3), rel=0.03)  # 0.115
    assert np.linalg.norm(t[:, :2], axis=1).max() <= 0.2 * math.sqrt(3)


def test_paper_views_are_upright_and_seen_from_all_sides(paper_views):
    R = rotations(paper_views)
    assert np.abs(R[:, 0, 2]).max() < 1e-9  # the object's up has no component to the right
    assert (R[:, 1, 2] <= 0).all()  # and none downwards
    azimuth = np.arctan2(-R[:, 2, 1], -R[:, 2, 0])
    counts = np.histogram(azimuth, bins=8, range=(-np.pi, np.pi))[0]
    assert counts == pytest.approx(len(R) / 8, rel=0.1)


def test_robot_share_of_paper_views(robot_views):
    assert np.mean([view.mode == "paper" for view in robot_views]) == pytest.approx(0.4, abs=0.03)
    paper = [view for view in robot_views if view.mode == "paper"]
    assert {view.K[0, 0] for view in paper} == {PaperCamera().focal_px(128)}
    assert np.abs(rotations(paper)[:, 0, 2]).max() < 1e-9


def test_robot_dolly_keeps_the_size_up_to_the_zoom(robot_views):
    dolly = [view for view in robot_views if view.mode == "dolly"]
    distance = np.linalg.norm(positions(dolly), axis=1)
    assert distance.min() >= 4.5
    assert distance.max() <= 30
    nearness = (1 / distance - 1 / 30) / (1 / 4.5 - 1 / 30)
    assert np.histogram(nearness, bins=4, range=(0, 1))[0] == pytest.approx(
        len(dolly) / 4, rel=0.15
    )
    focal = np.array([view.K[0, 0] for view in dolly])
    zoom = focal * 30 / (PaperCamera().focal_px(128) * distance)
    assert zoom.min() >= 0.7 - 1e-9
    assert zoom.max() <= 1.4 + 1e-9
    assert np.median(zoom) == pytest.approx(math.sqrt(0.7 * 1.4), abs=0.03)  # log-uniform


def test_robot_roll_and_aim_stay_in_range(robot_views):
    dolly = [view for view in robot_views if view.mode == "dolly"]
    up = rotations(dolly)[:, :, 2]
    roll = np.degrees(np.arctan2(up[:, 0], -up[:, 1]))
    assert np.abs(roll).max() == pytest.approx(8, abs=0.1)
    t = np.stack([view.T_camera_object[:3, 3] for view in dolly])
    distance = np.linalg.norm(t, axis=1)
    miss = np.linalg.norm(t[:, :2], axis=1) / t[:, 2] * distance
    assert miss.max() <= 0.15 * math.sqrt(2) + 1e-9
    assert miss.max() > 0.18
    assert positions(dolly)[:, 2].min() >= 0


@pytest.mark.parametrize("name", CAMERAS)
def test_seed_decides_everything(name):
    camera = camera_by_name(name)
    a, b = sample_many(camera, 20, seed=4), sample_many(camera, 20, seed=4)
    for x, y in zip(a, b, strict=True):
        assert np.array_equal(x.K, y.K)
        assert np.array_equal(x.T_camera_object, y.T_camera_object)
    other = sample_many(camera, 1, seed=5)[0]
    assert not np.array_equal(a[0].T_camera_object, other.T_camera_object)


@pytest.mark.parametrize(
    "camera", [PaperCamera(fov_deg=10.0), RobotCamera(PaperCamera(jitter=0.1), zoom_max=2.0)]
)
def test_settings_survive_a_dictionary(camera):
    assert camera_from_dict(camera_to_dict(camera)) == camera


def test_unknown_settings_are_refused():
    with pytest.raises(
        ValueError, match="camera must be one of paper, robot, eye_level, got 'orbit'"
    ):
        camera_by_name("orbit")
    with pytest.raises(ValueError, match="must be those of one of the samplings paper, robot"):
        camera_from_dict({"sampling": "paper", "lens": 3})


def test_impossible_settings_are_reported_together():
    with pytest.raises(ValueError, match="distance must be positive, got 0.0; jitter must be zero"):
        PaperCamera(distance=0.0, jitter=-1.0)
    with pytest.raises(ValueError, match="Camera settings are wrong") as error:
        RobotCamera(paper_probability=2.0, nearest_distance=50.0, zoom_min=2.0, roll_deg=-1.0)
    for part in (
        "paper_probability must be in [0, 1], got 2.0",
        "nearest_distance must be in",
        "zoom_min <= zoom_max, got 2.0 and 1.4",
        "roll_deg must be zero or more",
    ):
        assert part in str(error.value)


def elevations_deg(views):
    position = positions(views)
    return np.degrees(np.arcsin(position[:, 2] / np.linalg.norm(position, axis=1)))


def test_half_of_the_eye_level_views_are_at_eye_level_all_around():
    views = sample_many(camera_by_name("eye_level"), 4000)
    elevation = elevations_deg(views)
    # 0.9 x 0.55 at eye level; of the other dolly views and the paper's half are below 30 deg.
    assert ((elevation > -5) & (elevation < 30)).mean() == pytest.approx(
        0.495 + 0.505 / 2, abs=0.03
    )
    assert elevation.min() == pytest.approx(-5, abs=0.3)
    assert (elevation < 0).mean() == pytest.approx(0.495 * 5 / 35, abs=0.015)
    position = positions(views)
    counts = np.histogram(np.arctan2(position[:, 1], position[:, 0]), bins=8)[0]
    assert counts == pytest.approx(len(views) / 8, rel=0.15)
    near = min(view.distance for view in views)
    assert 1.9 < near < 2.1


def test_without_eye_level_views_are_as_before():
    assert all(
        np.array_equal(a.T_camera_object, b.T_camera_object)
        for a, b in zip(
            sample_many(RobotCamera(), 20),
            sample_many(RobotCamera(eye_level_min_deg=10.0), 20),
            strict=True,
        )
    )


def test_impossible_eye_levels_are_refused():
    with pytest.raises(ValueError, match="eye_level_min_deg and eye_level_max_deg must satisfy"):
        RobotCamera(eye_level_min_deg=40.0)
    with pytest.raises(ValueError, match="eye_level_probability must be in"):
        RobotCamera(eye_level_probability=1.5)
