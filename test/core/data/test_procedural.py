"""Procedural instances: deterministic, closed, normalised, with complete landmarks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kp3d_core.data.procedural import CATEGORIES, Instance, make_instance
from kp3d_core.data.procedural.car.car import LANDMARK_NAMES
from kp3d_core.data.procedural.car.parameters import KINDS

SEEDS = range(100)
_ARRAYS = ("vertices", "faces", "corner_normals", "corner_uv", "material_ids")


@pytest.fixture(scope="module")
def cars() -> list[Instance]:
    return [make_instance("car", seed) for seed in SEEDS]


def _component_of_vertex(faces: NDArray[np.int32], n_vertices: int) -> NDArray[np.int64]:
    """Smallest vertex index of the connected component of each vertex."""
    label = np.arange(n_vertices)
    while True:
        lowest = label[faces].min(axis=1)
        new = label.copy()
        for corner in range(3):
            np.minimum.at(new, faces[:, corner], lowest)
        new = new[new]
        if np.array_equal(new, label):
            return label
        label = new


def _surface_samples(instance: Instance, steps: int = 10) -> NDArray[np.float64]:
    """Points on every triangle at regular barycentric coordinates."""
    i, j = np.meshgrid(np.arange(steps + 1), np.arange(steps + 1), indexing="ij")
    inside = i + j <= steps
    weights = np.stack([i[inside], j[inside], steps - i[inside] - j[inside]], axis=-1) / steps
    corners = instance.mesh.vertices[instance.mesh.faces].astype(np.float64)
    return np.einsum("sk,fkd->fsd", weights, corners).reshape(-1, 3)


def test_same_seed_gives_identical_arrays() -> None:
    for seed in (0, 1, 2**31):
        first, second = make_instance("car", seed), make_instance("car", seed)
        assert (first.category, first.seed, first.kind) == ("car", seed, second.kind)
        for name in _ARRAYS:
            np.testing.assert_array_equal(getattr(first.mesh, name), getattr(second.mesh, name))
        for a, b in zip(first.mesh.materials, second.mesh.materials, strict=True):
            assert a.name == b.name
            np.testing.assert_array_equal(a.base_color, b.base_color)
            assert (a.texture is None) == (b.texture is None)
            if a.texture is not None:
                np.testing.assert_array_equal(a.texture, b.texture)
        for name, point in first.landmarks.items():
            np.testing.assert_array_equal(point, second.landmarks[name])


def test_any_two_cars_differ_in_shape(cars: list[Instance]) -> None:
    # Extents and landmarks, in model units: what can be seen as a difference of proportions.
    features = np.stack(
        [
            np.concatenate([car.mesh.bounds.ravel(), *(car.landmarks[n] for n in LANDMARK_NAMES)])
            for car in cars
        ]
    )
    distance = np.abs(features[:, None] - features[None]).max(axis=-1)
    np.fill_diagonal(distance, np.inf)
    # 0.01 units are 0.6 pixels where a car fills a picture of 128 pixels.
    assert distance.min() > 0.01


def test_all_kinds_appear_about_equally_often(cars: list[Instance]) -> None:
    counts = {kind: sum(car.kind == kind for car in cars) for kind in KINDS}
    assert set(counts) == {car.kind for car in cars}
    # Expected 14 of 100; below 5 has a probability under 0.002 per kind.
    assert min(counts.values()) >= 5


def test_surface_is_closed(cars: list[Instance]) -> None:
    for car in cars:
        faces = car.mesh.faces.astype(np.int64)
        start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
        n = len(car.mesh.vertices)
        forward, backward = np.sort(start * n + end), np.sort(end * n + start)
        assert len(np.unique(forward)) == len(forward), f"seed {car.seed}: an edge is used twice"
        np.testing.assert_array_equal(forward, backward, err_msg=f"seed {car.seed}: open edge")


def test_every_component_faces_outwards(cars: list[Instance]) -> None:
    for car in cars:
        vertices = car.mesh.vertices.astype(np.float64)
        component = _component_of_vertex(car.mesh.faces, len(vertices))[car.mesh.faces[:, 0]]
        # About each component's own first vertex, so that small parts lose no precision.
        a, b, c = (vertices[car.mesh.faces[:, k]] - vertices[component] for k in range(3))
        volume = np.bincount(component, np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0)
        present = np.unique(component)
        assert (volume[present] > 0.0).all(), f"seed {car.seed}"
        assert len(present) >= 10


def test_longest_dimension_spans_minus_one_to_one(cars: list[Instance]) -> None:
    for car in cars:
        minimum, maximum = car.mesh.bounds.astype(np.float64)
        np.testing.assert_allclose(maximum + minimum, 0.0, atol=1e-6)  # float32 rounding
        assert (maximum - minimum).max() == pytest.approx(2.0, abs=1e-6)
        assert (maximum - minimum).argmax() == 0, "a car is longest along its x axis"
        # Cars from a small hatchback to a bus, with what sticks out.
        assert 3.0 < 2.0 * car.metres_per_unit < 13.5


def test_normals_are_unit_vectors_on_the_outer_side(cars: list[Instance]) -> None:
    for car in cars:
        mesh = car.mesh
        length = np.linalg.norm(mesh.corner_normals, axis=-1)
        np.testing.assert_allclose(length, 1.0, atol=1e-5)
        a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
        face = np.cross(b - a, c - a)
        large = np.linalg.norm(face, axis=-1) > 1e-6
        cosine = np.einsum("fkd,fd->fk", mesh.corner_normals[large], face[large])
        assert (cosine > 0.0).all(), f"seed {car.seed}"


def test_mesh_is_small_and_textures_are_sound(cars: list[Instance]) -> None:
    n_faces = np.array([len(car.mesh.faces) for car in cars])
    assert 500 <= n_faces.min()
    assert n_faces.max() <= 4000
    assert n_faces.mean() <= 3200
    for car in cars:
        assert np.isfinite(car.mesh.corner_uv).all()
        for material in car.mesh.materials:
            assert material.base_color.shape == (3,)
            assert ((material.base_color >= 0.0) & (material.base_color <= 1.0)).all()
            if material.texture is not None:
                assert material.texture.dtype == np.uint8
                assert material.texture.ndim == 3


def test_landmarks_lie_on_the_surface_on_their_sides(cars: list[Instance]) -> None:
    for car in cars[::3]:
        assert tuple(car.landmarks) == LANDMARK_NAMES
        points = np.stack(list(car.landmarks.values()))
        assert points.dtype == np.float32
        samples = _surface_samples(car)
        near = [np.linalg.norm(samples - point, axis=1).min() for point in points]
        # Half the spacing of the samples on the longest triangles, and the facets' sagitta.
        assert max(near) < 0.04, f"seed {car.seed}: {dict(zip(LANDMARK_NAMES, near, strict=True))}"
        for name, point in car.landmarks.items():
            assert (point[1] > 0.0) == ("left" in name), f"seed {car.seed}: {name}"
            if "front" in name or "back" in name:
                assert (point[0] > 0.0) == ("front" in name), f"seed {car.seed}: {name}"


def test_landmarks_are_mirrored_and_ordered(cars: list[Instance]) -> None:
    mirror = np.array([1.0, -1.0, 1.0])
    for car in cars:
        p = car.landmarks
        center_y = (p["left_front_wheel"][1] + p["right_front_wheel"][1]) / 2.0
        for name in LANDMARK_NAMES:
            if "left" in name:
                other = p[name.replace("left", "right")]
                expected = p[name] * mirror + [0.0, 2.0 * center_y, 0.0]
                np.testing.assert_allclose(other, expected, atol=1e-5)
        assert p["left_front_light"][0] > p["left_front_wheel"][0]
        assert p["upper_left_windshield"][0] > p["upper_left_rearwindow"][0]
        # The rear of a van or bus may lean backwards a little.
        assert p["upper_left_rearwindow"][0] > p["left_back_trunk"][0] - 0.1
        assert p["upper_left_windshield"][2] > p["left_front_light"][2] > p["left_front_wheel"][2]


def test_unknown_category_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"category must be one of car, got 'boat'"):
        make_instance("boat", 0)
    assert "car" in CATEGORIES


def test_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"seed must be an integer >= 0, got -1"):
        make_instance("car", -1)
