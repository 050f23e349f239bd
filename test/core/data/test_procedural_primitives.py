"""Building blocks of procedural meshes, against volumes and normals known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kp3d_core.data.procedural.primitives import (
    FRONT,
    TOP,
    MeshBuilder,
    Part,
    box,
    corner_normals,
    frustum,
    lathe,
    loft,
    plain,
    rounded_box,
    rounded_path,
    tube,
)
from kp3d_core.data.procedural.textures import Canvas, planar_projection


def _volume(part: Part) -> float:
    a, b, c = (part.vertices[part.faces[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)


def test_box_has_its_volume_and_named_sides() -> None:
    part = box((1.0, 2.0, 3.0), (2.0, 4.0, 7.0))
    assert (len(part.vertices), len(part.faces)) == (8, 12)
    assert _volume(part) == pytest.approx(8.0)
    front = part.vertices[part.faces[part.groups == FRONT]]
    top = part.vertices[part.faces[part.groups == TOP]]
    np.testing.assert_array_equal(front[..., 0], 2.0)
    np.testing.assert_array_equal(top[..., 2], 7.0)


def test_mirrored_and_moved_keep_the_volume() -> None:
    part = rounded_box((0.0, 3.0, 0.0), (1.0, 0.5, 0.2), roundness=0.5)
    mirrored = part.mirrored().moved((1.0, 2.0, 3.0))
    assert _volume(mirrored) == pytest.approx(_volume(part), rel=1e-12)
    assert 0.0 < _volume(part) < 8.0 * 1.0 * 0.5 * 0.2


def test_lathe_makes_a_prism_of_the_given_radius() -> None:
    segments, radius, height = 12, 0.5, 2.0
    part = lathe([(0.0, 0.0), (radius, 0.0), (radius, height), (0.0, height)], segments)
    area = segments / 2.0 * radius**2 * np.sin(2.0 * np.pi / segments)
    assert _volume(part) == pytest.approx(area * height, rel=1e-12)


def test_frustum_has_the_volume_of_a_truncated_pyramid() -> None:
    part = frustum((0.0, 0.0, 1.0), (1.0, 2.0), (5.0, 0.0, 4.0), (0.5, 1.0))
    # Height / 3 * (A + B + sqrt(A B)); leaning does not change it.
    assert _volume(part) == pytest.approx(3.0 / 3.0 * (8.0 + 2.0 + 4.0), rel=1e-12)


def test_loft_closes_a_prism_and_numbers_its_sides() -> None:
    square = np.array([(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)])
    rings = np.stack([np.insert(square, 2, z, axis=1) for z in (0.0, 1.0, 3.0)])
    part = loft(rings)
    assert _volume(part) == pytest.approx(12.0)
    for group, normal in ((0, (0, 1, 0)), (3, (1, 0, 0)), (4, (0, 0, -1)), (5, (0, 0, 1))):
        a, b, c = (part.vertices[part.faces[part.groups == group, k]] for k in range(3))
        outwards = np.cross(b - a, c - a)
        np.testing.assert_allclose(
            outwards / np.linalg.norm(outwards, axis=1)[:, None], [normal] * len(a), atol=1e-12
        )


def test_tube_keeps_its_profile_around_a_mitred_bend() -> None:
    part = tube([(0.0, 0.0, 0.0), (2.0, 0.0, 0.0), (2.0, 0.0, 3.0)], 0.25, 4)
    # Two bars of profile 0.5 x 0.5 whose centre lines meet at the mitre.
    assert _volume(part) == pytest.approx(0.25 * (2.0 + 3.0), rel=1e-12)
    np.testing.assert_allclose(part.vertices.min(axis=0), [0.0, -0.25, -0.25], atol=1e-12)
    np.testing.assert_allclose(part.vertices.max(axis=0), [2.25, 0.25, 3.0], atol=1e-12)


def test_rounded_path_leaves_and_meets_the_corner_at_its_radius() -> None:
    path = rounded_path([(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 0.0, 1.0)], 0.2)
    np.testing.assert_allclose(path[[0, 1, -2, -1], 0], [0.0, 0.8, 1.0, 1.0])
    np.testing.assert_allclose(path[[0, 1, -2, -1], 2], [0.0, 0.0, 0.2, 1.0])
    inner = path[2:-2]
    assert (inner[:, 0] < 1.0).all()
    assert (inner[:, 2] > 0.0).all()


def test_normals_are_flat_on_a_box_and_round_on_a_cylinder() -> None:
    cube = box((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
    normals = corner_normals(cube.vertices, cube.faces)
    np.testing.assert_allclose(np.abs(normals).max(axis=-1), 1.0, atol=1e-12)

    barrel = lathe([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)], 24)
    normals = corner_normals(barrel.vertices, barrel.faces)
    side = barrel.groups == 1
    radial = barrel.vertices[barrel.faces[side]] * np.array([1.0, 1.0, 0.0])
    # Area weighting of a vertex's two or one triangles a side tilts the mean by up to 2.5 degrees.
    cosine = np.einsum("fkd,fkd->fk", normals[side], radial)
    assert cosine.min() > np.cos(np.radians(3.0))


def test_builder_normalises_and_keeps_materials_apart() -> None:
    builder = MeshBuilder()
    red, blue = plain("red", (1.0, 0.0, 0.0)), plain("blue", (0.0, 0.0, 1.0))
    builder.add(box((0.0, 0.0, 0.0), (4.0, 1.0, 1.0)), red)
    builder.add(box((4.0, 0.0, 0.0), (6.0, 1.0, 1.0)), [blue] * 5 + [red])
    mesh, center, unit = builder.build()
    np.testing.assert_allclose(center, [3.0, 0.5, 0.5])
    assert unit == pytest.approx(3.0)
    np.testing.assert_allclose(mesh.bounds[:, 0], [-1.0, 1.0])
    assert [material.name for material in mesh.materials] == ["red", "blue"]
    assert np.bincount(mesh.material_ids).tolist() == [14, 10]


def test_canvas_paints_where_the_surface_reads() -> None:
    # A wall seen along -x: y to the right, z up.
    projection = planar_projection((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 1.0), 4.0, 2.0)
    canvas = Canvas(projection, 20, 40, (0.0, 0.0, 0.0))
    canvas.fill([(0, 0.5, 1.5), (0, 1.5, 1.5), (0, 1.5, 1.9), (0, 0.5, 1.9)], (1.0, 0.0, 0.0))
    point = np.array([[0.0, 1.0, 1.7]])
    column, row = canvas.pixels(point)[0]
    assert (column, row) == pytest.approx((29.5, 2.5))
    assert canvas.image[round(row), round(column)].tolist() == [255, 0, 0]
    assert canvas.image[15, 10].tolist() == [0, 0, 0]
    # v points up: the painted spot has v above the middle.
    np.testing.assert_allclose(canvas.surface("wall").uv(point), [[0.75, 0.85]])
