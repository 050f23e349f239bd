"""Stretching, and the measure of how far keypoints follow it."""

import numpy as np
import pytest

from kp3d_core.data.procedural import make_instance
from kp3d_core.evaluation.robustness.deformation import (
    STRETCHES,
    Stretch,
    deform_mesh,
    displacement,
    measure_following,
)

BOUNDS = np.array([[-1.0, -0.4, -0.3], [1.0, 0.4, 0.3]])
REAR = Stretch("longer rear", 0, (-1,), 0.25)
WIDER = Stretch("wider", 1, (1, -1), 0.12)


@pytest.fixture(scope="module")
def car():
    return make_instance("car", 40_000_011)


def random_keypoints(seed, count=10):
    return np.random.default_rng(seed).uniform(BOUNDS[0], BOUNDS[1], (count, 3))


def test_displacement_by_hand():
    points = np.array([[0.5, 0, 0], [0, 0, 0], [-0.5, 0.1, 0], [-1.0, 0, 0.2], [-1.2, 0, 0]])
    moved = displacement(points, REAR, BOUNDS)
    # Smoothstep: half the way is half the amount; beyond the end all of it.
    assert moved[:, 0] == pytest.approx([0, 0, -0.125, -0.25, -0.25])
    assert not moved[:, 1:].any()
    assert displacement(np.array([[0, 0.4, 0], [0, -0.4, 0]]), WIDER, BOUNDS)[
        :, 1
    ] == pytest.approx([0.12, -0.12])


@pytest.mark.parametrize("stretch", STRETCHES, ids=lambda stretch: stretch.name)
def test_the_object_grows_by_the_amount_and_only_there(car, stretch):
    grown = deform_mesh(car.mesh, stretch).bounds - car.mesh.bounds
    expected = np.zeros((2, 3))
    for direction in stretch.directions:
        expected[1 if direction > 0 else 0, stretch.axis] = direction * stretch.amount
    assert grown == pytest.approx(expected, abs=1e-5)


def test_normals_stay_perpendicular_to_the_surface():
    # Of the flat triangles of a stretched ball of facets: exact where the map is linear within a
    # triangle; the curvature of a smoothstep over triangles of a tenth of the length gives 3 deg.
    car = make_instance("car", 40_000_011).mesh
    mesh = deform_mesh(car, REAR)
    flat_before, flat_after = (_face_normals(m) for m in (car, mesh))
    mean_before, mean_after = (m.corner_normals.mean(1) for m in (car, mesh))
    fine = _edge_lengths(car) < 0.2
    was_flat = np.einsum("fi,fi->f", flat_before, mean_before) > 0.9999
    cosine = np.einsum("fi,fi->f", flat_after, mean_after)[fine & was_flat]
    assert len(cosine) > 300
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 4


def test_slope_of_keypoints_that_are_glued_to_the_surface():
    moved = [displacement(random_keypoints(seed), REAR, BOUNDS)[:, 0] for seed in range(5)]
    following = measure_following(moved, moved)
    assert following.slope == pytest.approx(1)
    assert following.correlation == pytest.approx(1)
    assert following.keypoints == 50


def test_slope_of_keypoints_that_do_not_follow():
    surface = [displacement(random_keypoints(seed), REAR, BOUNDS)[:, 0] for seed in range(5)]
    still = measure_following([np.zeros(10)] * 5, surface)
    assert still.slope == 0
    assert still.correlation == 0
    # A rigid structure that is put into the middle of the longer object moves, but does not follow.
    rigid = measure_following([np.full(10, -0.1)] * 5, surface)
    assert rigid.slope == pytest.approx(0, abs=1e-12)


def test_slope_under_noise():
    # 50 keypoints, noise of 0.02 on displacements of 0..0.25 (spread 0.09): slope to 0.03 or so.
    rng = np.random.default_rng(0)
    surface = [displacement(random_keypoints(seed), REAR, BOUNDS)[:, 0] for seed in range(5)]
    moved = [0.6 * D + rng.normal(0, 0.02, 10) for D in surface]
    following = measure_following(moved, surface)
    assert following.slope == pytest.approx(0.6, abs=0.12)
    assert following.correlation > 0.8


def test_nothing_to_follow():
    assert measure_following([np.ones(4)], [np.zeros(4)]) is None


def _face_normals(mesh):
    a, b, c = mesh.vertices[mesh.faces].astype(float).transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)


def _edge_lengths(mesh):
    corners = mesh.vertices[mesh.faces]
    return np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max(1)
