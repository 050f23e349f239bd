"""Light, shadows, mirror images and panes against values worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from kp3d_core.data.cameras import look_along
from kp3d_core.data.procedural import make_instance
from kp3d_core.rendering.environment import environment_directions, make_environment
from kp3d_core.rendering.lit import MAX_GROUND_ALPHA, Lighting, prepare, render_lit
from kp3d_core.rendering.mesh import Material, Mesh
from kp3d_core.rendering.rasterizer import render
from kp3d_core.rendering.shadows import coarse, shadow_maps

SIZE = 48
UP, SIDEWAYS = (0.0, 0.0, 1.0), (0.6, 0.0, 0.8)
MATT = {"roughness": 1.0}
DARK = make_environment(np.full((64, 64, 3), 1e-6))
EVEN = make_environment(np.full((64, 64, 3), 0.25))


def quads(*corners, colors, finishes=None, opacity=None):
    """Quadrilaterals, each of its own material, flat normals."""
    finishes = finishes or [MATT] * len(corners)
    points = np.array(corners, np.float32)
    normals = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    first = 4 * np.arange(len(points))[:, None, None]
    uv = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    index = np.array([(0, 1, 2), (0, 2, 3)])
    image = None if opacity is None else np.full((*opacity.shape, 3), 255, np.uint8)
    return Mesh(
        vertices=points.reshape(-1, 3),
        faces=(first + index).reshape(-1, 3).astype(np.int32),
        corner_normals=np.repeat(normals, 6, axis=0).reshape(-1, 3, 3).astype(np.float32),
        corner_uv=np.tile(uv[index], (len(points), 1, 1)),
        material_ids=np.repeat(np.arange(len(points)), 2).astype(np.int32),
        materials=tuple(
            Material(str(k), np.array(c, np.float32), image, texture_opacity=opacity, **f)
            for k, (c, f) in enumerate(zip(colors, finishes, strict=True))
        ),
    )


def level(z, half, x=0.0):
    return [(x - half, -half, z), (x + half, -half, z), (x + half, half, z), (x - half, half, z)]


def seen_from(position, f=60.0):
    position = np.array(position, float)
    T = np.eye(4)
    T[:3, :3] = look_along(-position)
    T[:3, 3] = -T[:3, :3] @ position
    return np.array([[f, 0, (SIZE - 1) / 2], [0, f, (SIZE - 1) / 2], [0, 0, 1]]), T


def draw(mesh, camera=(-0.01, 0.0, 3.0), keys=(), directions=(UP, SIDEWAYS), **kwargs):
    K, T = seen_from(camera)
    settings = {"environment": DARK, "ground_shadow": 0.0, **kwargs}
    lighting = Lighting(keys=keys, **settings)
    return render_lit(prepare(mesh, np.array(directions)), K, T, SIZE, SIZE, lighting)


def shown(linear):
    """What the display makes of light: gamma 2 and the shoulder."""
    value = np.sqrt(linear)
    return value if value <= 0.7 else 0.7 + 0.3 * (1 - np.exp((0.7 - value) / 0.3))


def middle(image):
    return image.rgb[SIZE // 2, SIZE // 2].astype(float) / 255


def test_opaque_objects_have_the_mask_and_depth_of_the_rasterizer():
    mesh = make_instance("chair", 3).mesh
    K, T = seen_from((2.0, 1.0, 1.5))
    plain = render(mesh, K, T, SIZE, SIZE)
    lit = render_lit(
        prepare(mesh, np.array([UP])), K, T, SIZE, SIZE, Lighting(EVEN, ground_shadow=0.0)
    )
    assert np.array_equal(lit.mask, plain.mask)
    assert np.array_equal(lit.depth, plain.depth)
    assert np.array_equal(lit.alpha, plain.alpha)


@pytest.mark.parametrize("direction", [UP, SIDEWAYS])
def test_a_matt_surface_shows_the_sun_by_the_cosine(direction):
    mesh = quads(level(0.0, 1.0), colors=[(0.8, 0.6, 0.4)])
    image = draw(mesh, keys=((0, (0.5, 0.5, 0.5)),), directions=[direction])
    cosine = direction[2]
    expected = [shown(0.96 * 0.5 * cosine * c * c) for c in (0.8, 0.6, 0.4)]
    # The mirrored share of a matt surface is 4 %; its faint highlight adds up to 0.02.
    assert middle(image) == pytest.approx(expected, abs=0.025)


def test_an_even_sky_lights_an_open_surface_fully_and_one_under_a_roof_less():
    floor = quads(level(0.0, 1.0), colors=[(0.9, 0.9, 0.9)])
    roofed = quads(level(0.0, 1.0), level(0.3, 0.9), colors=[(0.9, 0.9, 0.9), (0.1, 0.1, 0.1)])
    low = (-3.0, 0.0, 0.25)
    K, T = seen_from(low)
    T[:3, 3] += T[:3, :3] @ np.array([0.0, 0.0, 0.12])
    open_sky = draw(floor, environment=EVEN)
    assert middle(open_sky) == pytest.approx([shown(0.25 * (0.96 * 0.81 + 0.04))] * 3, abs=0.03)
    under = render_lit(
        prepare(roofed, np.array([UP])), K, T, SIZE, SIZE, Lighting(EVEN, ground_shadow=0.0)
    )
    beside = render_lit(
        prepare(floor, np.array([UP])), K, T, SIZE, SIZE, Lighting(EVEN, ground_shadow=0.0)
    )
    both = under.mask & beside.mask & (np.abs(under.depth - beside.depth) < 1e-3)
    assert both.sum() > 20
    assert under.rgb[both].mean() < 0.7 * beside.rgb[both].mean()


def test_a_plate_casts_its_shadow_away_from_the_sun():
    mesh = quads(level(-0.4, 1.0), level(0.2, 0.25), colors=[(0.8, 0.8, 0.8), (0.8, 0.1, 0.1)])
    image = draw(mesh, camera=(-0.01, 0.0, 6.0), keys=((1, (0.6, 0.6, 0.6)),))
    grey = image.rgb.astype(float)
    floor = (image.depth > 6.3) & image.mask
    dark = floor & (grey.sum(-1) < 60)
    assert dark.sum() > 5
    # The sun stands over +x, which this camera shows upwards: the shadow falls 0.45 towards -x.
    K, T = seen_from((-0.01, 0.0, 6.0))
    point = T @ np.array([-0.45, 0.0, -0.4, 1.0])
    row = (K @ point[:3])[1] / point[2]
    assert np.argwhere(dark).mean(axis=0) == pytest.approx([row, (SIZE - 1) / 2], abs=0.8)


def test_the_shadow_on_the_ground_is_black_outside_the_mask_and_never_counts_as_covered():
    mesh = make_instance("car", 4).mesh
    K, T = seen_from((-4.0, 2.0, 3.0))
    lighting = Lighting(EVEN, keys=((0, (2.0, 2.0, 2.0)),))
    image = render_lit(prepare(mesh, np.array([SIDEWAYS])), K, T, SIZE, SIZE, lighting)
    plain = render(mesh, K, T, SIZE, SIZE)
    shadow = (plain.alpha == 0) & (image.alpha > 0)
    assert shadow.sum() > 50
    assert image.alpha[shadow].max() == MAX_GROUND_ALPHA
    assert image.rgb[shadow].max() == 0
    assert np.array_equal(image.mask, plain.mask)


def test_smooth_surfaces_have_sharper_highlights_than_rough_ones():
    ball = make_instance("mug", 0).mesh
    brightest = []
    for roughness in (0.1, 0.9):
        materials = tuple(
            Material("m", np.full(3, 0.1, np.float32), roughness=roughness) for _ in ball.materials
        )
        image = draw(
            replace(ball, materials=materials), camera=(2.5, 0.8, 2.0),
            keys=((1, (1.0, 1.0, 1.0)),),
        )  # fmt: skip
        brightest.append(image.rgb.max())
    assert brightest[0] > 200 > 110 > brightest[1]


@pytest.mark.parametrize(("metallic", "expected"), [(1.0, (0.5, 0.5, 0.5)), (0.0, (0.1, 0.1, 0.1))])
def test_a_mirror_shows_what_is_above_it_and_paint_a_twenty_fifth_of_that(metallic, expected):
    z = environment_directions()[..., 2:]
    above = make_environment(np.where(z > 0.8, 0.25, 0.0) * np.ones(3) + 1e-6)
    finish = {"metallic": metallic, "roughness": 0.0}
    mesh = quads(level(0.0, 1.0), colors=[(metallic,) * 3], finishes=[finish])
    image = draw(mesh, environment=above)
    assert middle(image) == pytest.approx(expected, abs=0.02)


def test_the_environment_turns_with_its_angle():
    x, y = (environment_directions()[..., k : k + 1] for k in (0, 1))
    red_ahead = np.where((x > 0.5) & (np.abs(y) < 0.5), [0.5, 0.0, 0.0], [0.0, 0.0, 0.1])
    wall = [[(0, -1, -1), (0, 1, -1), (0, 1, 1), (0, -1, 1)]]
    mesh = quads(*wall, colors=[(1, 1, 1)], finishes=[{"metallic": 1.0, "roughness": 0.0}])
    environment = make_environment(red_ahead + 1e-6)
    ahead = middle(draw(mesh, camera=(3.0, 0.0, 0.01), environment=environment))
    turned = middle(draw(mesh, camera=(3.0, 0.0, 0.01), environment=environment, turn=np.pi / 2))
    assert ahead[0] > 0.6 > 0.1 > ahead[2]
    assert turned[2] > 0.25 > 0.1 > turned[0]


@pytest.mark.parametrize("textured", [False, True])
def test_panes_show_what_lies_behind_them_and_let_the_background_through(textured):
    colors = [(0.0, 0.0, 0.0), (0.9, 0.0, 0.0)]
    opacity = np.full((8, 8), 128, np.uint8)
    pane = {"roughness": 0.05, "opacity": 1.0 if textured else 128 / 255}
    mesh = quads(
        level(0.5, 0.8), level(0.0, 0.3), colors=colors, finishes=[pane, MATT],
        opacity=opacity if textured else None,
    )  # fmt: skip
    if textured:  # the red square behind has the texture but is opaque: it is the last layer
        solid = replace(mesh.materials[1], texture_opacity=None)
        mesh = replace(mesh, materials=(mesh.materials[0], solid))
    sun = ((1, (1.0, 1.0, 1.0)),)  # from aside: none of it is mirrored into the camera
    image = draw(mesh, keys=sun)
    through = middle(image)
    bare = middle(draw(quads(level(0.0, 0.3), colors=[(0.9, 0.0, 0.0)]), keys=sun))
    assert 0.35 < through[0] < 0.9 * bare[0]
    assert image.alpha[SIZE // 2, SIZE // 2] == 255
    edge = (SIZE // 2, SIZE // 2 - 12)
    assert image.mask[edge]
    assert 100 < image.alpha[edge] < 180
    assert image.depth[edge] == pytest.approx(2.5, abs=0.05)


def test_dirt_dulls_and_an_object_repeats_to_the_bit():
    mesh = prepare(make_instance("car", 9).mesh, np.array([UP, SIDEWAYS]), 0.3)
    K, T = seen_from((3.0, 1.0, 0.8))
    clean, filthy, again = (
        render_lit(mesh, K, T, SIZE, SIZE, Lighting(EVEN, keys=((1, (1.0, 1.0, 1.0)),), dirt=dirt))
        for dirt in (0.0, 1.0, 1.0)
    )
    assert np.array_equal(filthy.rgb, again.rgb)
    changed = np.abs(filthy.rgb.astype(int) - clean.rgb)[clean.mask].mean()
    assert changed > 4


@pytest.mark.parametrize("radiance", [np.zeros((64, 32, 3)), np.full((64, 64, 3), np.nan)])
def test_wrong_radiance_is_refused(radiance):
    with pytest.raises(ValueError, match="radiance must"):
        make_environment(radiance)


def test_fine_meshes_cast_their_soft_shadows_from_a_grid_of_cells():
    n = 120
    u, v = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    vertices = np.stack([u, v, 0.3 * np.cos(3 * u) * np.cos(2 * v)], -1).reshape(-1, 3)
    i = np.arange(n * n).reshape(n, n)
    a, b, c, d = i[:-1, :-1].ravel(), i[1:, :-1].ravel(), i[1:, 1:].ravel(), i[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).astype(np.int32)
    few_vertices, few = coarse(vertices, faces, 1000, 0.05)
    assert len(few) < len(faces) / 4
    assert coarse(vertices, faces, len(faces) + 1, 0.05)[1] is faces
    towards = np.array([[0.3, 0.2, 0.9]])
    fine, rough = (
        shadow_maps(*mesh, towards, 64) for mesh in ((vertices, faces), (few_vertices, few))
    )
    both = np.isfinite(fine.reach) & np.isfinite(rough.reach)
    assert both.sum() > 0.9 * np.isfinite(fine.reach).sum()
    assert np.abs(fine.reach[both] - rough.reach[both]).max() < 0.05
