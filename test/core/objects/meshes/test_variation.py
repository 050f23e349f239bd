"""Random changes of shape and surface: smooth, one to one, and true to the category's symmetry."""

import dataclasses

import numpy as np
import pytest

from kp3d_core.data.procedural import make_instance
from kp3d_core.objects.meshes.deformation import LARGEST, deformed
from kp3d_core.objects.meshes.painting import draw_pattern
from kp3d_core.objects.meshes.variation import Variation, vary
from kp3d_core.rendering.mesh import Material

POINTS = np.random.default_rng(0).uniform(-1, 1, (500, 3))
MIRROR, HALF_TURN = np.diag([1.0, -1.0, 1.0]), np.diag([-1.0, -1.0, 1.0])


def _turn(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("symmetry", "maps"),
    [
        ("none", [MIRROR]),
        ("two-fold", [MIRROR, HALF_TURN]),
        ("full", [MIRROR, HALF_TURN, _turn(0.7)]),
    ],
)
def test_deformations_commute_with_the_symmetry_of_the_category(symmetry, maps):
    for seed in range(5):
        moved = deformed(POINTS, 0.1, symmetry, np.random.default_rng(seed))
        assert 0.01 < np.abs(moved - POINTS).max() <= 0.1 + 1e-9
        for linear in maps:
            other = deformed(POINTS @ linear.T, 0.1, symmetry, np.random.default_rng(seed))
            assert np.allclose(other, moved @ linear.T)
    if symmetry == "none":  # and with nothing more than that
        other = deformed(POINTS @ HALF_TURN, 0.1, symmetry, np.random.default_rng(0))
        moved = deformed(POINTS, 0.1, symmetry, np.random.default_rng(0))
        assert not np.allclose(other, moved @ HALF_TURN)


def test_the_strongest_deformation_turns_nothing_inside_out():
    step = 1e-5
    for seed in range(40):
        base, *ahead = (
            deformed(POINTS + offset, LARGEST, "none", np.random.default_rng(seed))
            for offset in (np.zeros(3), *(step * np.eye(3)))
        )
        jacobian = np.stack([(there - base) / step for there in ahead], axis=-1)
        assert np.linalg.det(jacobian).min() > 0.02
    with pytest.raises(ValueError, match=r"A deformation must be in \[0, 0.18\], got 0.2"):
        deformed(POINTS, 0.2, "none", np.random.default_rng(0))


def test_objects_of_one_mesh_differ_and_repeat():
    mug = make_instance("mug", 0).mesh
    varied = [vary(mug, Variation(), np.random.default_rng(seed)) for seed in range(12)]
    again = vary(mug, Variation(), np.random.default_rng(3))
    assert np.array_equal(varied[3].vertices, again.vertices)
    for one in varied:
        assert np.abs(one.bounds).max() == pytest.approx(1)
        assert np.array_equal(one.faces, mug.faces)
        assert np.linalg.norm(one.corner_normals, axis=-1) == pytest.approx(1, abs=1e-5)
    heights = [np.ptp(one.bounds[:, 2]) for one in varied]
    assert np.std(heights) > 0.02


def test_patterns_cover_materials_without_texture_coordinates():
    mug = make_instance("mug", 0).mesh
    plain = Material("plain", np.full(3, 0.5, np.float32))
    bare = type(mug)(
        mug.vertices, mug.faces, mug.corner_normals, np.zeros_like(mug.corner_uv),
        np.zeros_like(mug.material_ids), (plain,),
    )  # fmt: skip
    always = Variation(pattern_probability=1.0)
    varied = [vary(bare, always, np.random.default_rng(seed)) for seed in range(20)]
    painted = [one for one in varied if one.materials[0].texture is not None]
    assert 4 <= len(painted) <= 16  # half of them
    assert all(np.ptp(one.corner_uv) > 0.3 for one in painted)
    assert all(draw_pattern(np.random.default_rng(k)).std() > 1 for k in range(10))


def test_impossible_variations_are_refused():
    with pytest.raises(
        ValueError, match=r"stretch must be in \[0, 0.9\], got 2.0; deformation must"
    ):
        Variation(stretch=2.0, deformation=1.0)


def test_a_pattern_takes_the_place_of_a_texture_with_its_opacity():
    mesh = make_instance("car", 3).mesh
    clear = np.full((20, 30), 128, np.uint8)
    picture = np.zeros((20, 30, 3), np.uint8)
    decal = Material("decal", np.ones(3, np.float32), picture, texture_opacity=clear)
    mesh = dataclasses.replace(mesh, materials=(decal,) * len(mesh.materials))
    always = Variation(pattern_probability=1.0)
    materials = vary(mesh, always, np.random.default_rng(0)).materials
    opacities = {m.texture.shape[:2]: m.texture_opacity for m in materials}
    assert opacities.pop((20, 30)) is clear
    assert set(opacities.values()) == {None}
