"""Symmetry about z: chosen poses are equally right, what is unknown about a pose counts nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kp3d_core.data.cameras import look_along, roll_matrix
from kp3d_core.geometry.rotation import make_transform, rotation_angle
from kp3d_core.geometry.symmetry import (
    UNKNOWN_VARIANCE,
    canonical_pose,
    free_rotation,
    nearest_pose,
    rotation_error,
)


def _turn(angle_deg: float) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", angle_deg, degrees=True).as_matrix()
    return T


def _pose(azimuth_deg: float, elevation_deg: float, roll_deg: float = 0.0) -> np.ndarray:
    azimuth, elevation = math.radians(azimuth_deg), math.radians(elevation_deg)
    c = math.cos(elevation)
    towards = np.array([c * math.cos(azimuth), c * math.sin(azimuth), math.sin(elevation)])
    R = roll_matrix(math.radians(roll_deg)) @ look_along(-towards)
    return make_transform(R, np.array([0.1, -0.2, 8.0]))


@pytest.mark.parametrize("symmetry", ["none", "two-fold", "full"])
def test_shapes(as_array, symmetry):
    T = as_array(np.tile(_pose(20, 30), (5, 2, 1, 1)))
    assert tuple(canonical_pose(T, symmetry).shape) == (5, 2, 4, 4)
    assert tuple(nearest_pose(T, T[0, 0, :3, :3], symmetry).shape) == (5, 2, 4, 4)
    assert tuple(rotation_error(T[..., :3, :3], T[0, 0, :3, :3], symmetry).shape) == (5, 2)


@pytest.mark.parametrize("elevation_deg", [-20, 0, 35, 89])
@pytest.mark.parametrize("roll_deg", [-30, 0, 20])
def test_a_bottle_is_the_same_from_all_sides(as_array, elevation_deg, roll_deg):
    poses = np.stack([_pose(azimuth, elevation_deg, roll_deg) for azimuth in range(0, 360, 40)])
    chosen = np.asarray(canonical_pose(as_array(poses), "full"))
    assert chosen == pytest.approx(np.broadcast_to(chosen[0], chosen.shape), abs=1e-12)
    # an upright camera sees the object's x axis come towards it: it stands at azimuth 0
    if roll_deg == 0:
        assert chosen[0] == pytest.approx(_pose(0, elevation_deg), abs=1e-12)
    mirrored = np.diag([-1.0, 1, 1, 1]) @ chosen[0] @ np.diag([1.0, -1, 1, 1])
    assert np.asarray(canonical_pose(as_array(mirrored), "full")) == pytest.approx(mirrored)


def test_of_two_answers_the_one_whose_front_is_on_the_right(as_array):
    for azimuth in (-150, -91, -89, -10, 10, 89, 91, 150):
        pair = [_pose(azimuth, 25), _pose(azimuth, 25) @ _turn(180)]
        chosen = [np.asarray(canonical_pose(as_array(T), "two-fold")) for T in pair]
        assert chosen[0] == pytest.approx(chosen[1], abs=1e-12)
        assert chosen[0][0, 0] > 0
        assert any(chosen[0] == pytest.approx(T, abs=1e-12) for T in pair)


def test_lying_down_or_seen_along_the_axis_gives_numbers(as_array):
    lying = make_transform(Rotation.from_euler("y", 90, degrees=True).as_matrix(), np.zeros(3))
    for T in (lying, _pose(0, 90)):
        for like in (np.eye(3), np.diag([1.0, -1, -1])):
            assert np.isfinite(np.asarray(canonical_pose(as_array(T), "full"))).all()
            assert np.isfinite(np.asarray(nearest_pose(as_array(T), as_array(like), "full"))).all()


@pytest.mark.parametrize(("symmetry", "turns"), [("two-fold", 2), ("full", 3600)])
def test_nearest_is_the_best_of_all_turns(as_array, symmetry, turns):
    rng = np.random.default_rng(4)
    R_est, R_true = Rotation.random(6, random_state=1), Rotation.random(6, random_state=2)
    R_est, R_true = R_est.as_matrix(), R_true.as_matrix()
    steps = [_turn(k * 360 / turns)[:3, :3] for k in range(turns)]
    best = np.min([np.asarray(rotation_angle(R_est, R_true @ step)) for step in steps], axis=0)
    error = np.asarray(rotation_error(as_array(R_est), as_array(R_true), symmetry))
    assert error == pytest.approx(best, abs=1e-3 if turns > 2 else 1e-9)
    if symmetry == "full":  # what is left is the angle between the axes
        cosine = np.sum(R_est[:, :, 2] * R_true[:, :, 2], axis=1)
        assert error == pytest.approx(np.arccos(cosine), abs=1e-5)
    # of a motion between two views: the truth is known up to a turn in between
    R_0 = Rotation.from_rotvec(rng.normal(size=3)).as_matrix()
    motion = R_true @ R_0.T
    best = [min(rotation_angle(R_est[0], R_true[0] @ step @ R_0.T) for step in steps)]
    error = rotation_error(as_array(R_est[0] @ R_0), as_array(motion[0] @ R_0), symmetry)
    assert float(error) == pytest.approx(float(best[0]), abs=1e-3)


def test_without_symmetry_nothing_changes(as_array):
    T = as_array(_pose(100, 20))
    assert canonical_pose(T, "none") is T
    assert float(rotation_error(T[:3, :3], as_array(np.eye(3)), "none")) == pytest.approx(
        float(rotation_angle(T[:3, :3], as_array(np.eye(3))))
    )


def test_no_yaw_is_known_and_the_rest_is_kept():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(6, 6))
    covariance = A @ A.T
    R = Rotation.random(random_state=3).as_matrix()
    free = free_rotation(covariance, R[:, 2])
    turned = np.kron(np.eye(2), R.T)
    expected = turned @ covariance @ turned.T
    got = turned @ free @ turned.T  # in the object's own axes: the last one is free
    assert got[:5, :5] == pytest.approx(expected[:5, :5])
    assert got[5, 5] == pytest.approx(UNKNOWN_VARIANCE)
    assert got[5, :5] == pytest.approx(np.zeros(5), abs=1e-6)
    assert np.linalg.eigvalsh(free)[0] > 0
