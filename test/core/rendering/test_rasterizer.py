"""The rasterizer against rays traced by Embree and against values computed by hand."""

import numpy as np
import pytest

from kp3d_core.rendering.mesh import Material, Mesh
from kp3d_core.rendering.packing import pack
from kp3d_core.rendering.rasterizer import render

WHITE = (1.0, 1.0, 1.0)


def flat_mesh(vertices, faces, colors=(WHITE,), uv=None, texture=None, material_ids=None):
    """Triangles with flat normals; one material per colour."""
    vertices = np.asarray(vertices, np.float32)
    faces = np.asarray(faces, np.int32)
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    uv = np.zeros((len(vertices), 2)) if uv is None else np.asarray(uv)
    ids = np.zeros(len(faces)) if material_ids is None else np.asarray(material_ids)
    return Mesh(
        vertices=vertices,
        faces=faces,
        corner_normals=np.repeat(normals[:, None], 3, axis=1).astype(np.float32),
        corner_uv=uv[faces].astype(np.float32),
        material_ids=ids.astype(np.int32),
        materials=tuple(
            Material(f"m{i}", np.array(c, np.float32), texture) for i, c in enumerate(colors)
        ),
    )


def square(z=0.0, uv_shift=0.0, **kwargs):
    """A 2 x 2 square in the object's xy plane whose outside is +z; texture u along x, v along y."""
    corners = [(-1, -1, z), (1, -1, z), (1, 1, z), (-1, 1, z)]
    uv = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float) + uv_shift
    return flat_mesh(corners, [(0, 1, 2), (0, 2, 3)], uv=uv, **kwargs)


def pile(seed, n=40):
    """Boxes of many sizes and colours that stick through each other, with a texture."""
    rng = np.random.default_rng(seed)
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    box = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    vertices, faces = [], []
    for i in range(n):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        turn *= np.sign(np.linalg.det(turn))
        size = rng.uniform(0.02, 0.3, 3)
        vertices.append(corners * size @ turn + rng.uniform(-0.7, 0.7, 3) * (1, 0.5, 0.5))
        faces.append(box + 8 * i)
    return flat_mesh(
        np.concatenate(vertices),
        np.concatenate(faces),
        colors=rng.random((n, 3)),
        uv=rng.random((8 * n, 2)),
        texture=rng.integers(0, 256, (16, 16, 3), dtype=np.uint8),
        material_ids=np.repeat(np.arange(n), 12),
    )


def intrinsics(f, width, height):
    return np.array([[f, 0, (width - 1) / 2], [0, f, (height - 1) / 2], [0, 0, 1]], float)


def look_along(forward):
    """R_camera_object of an upright camera."""
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def looking(forward, distance):
    """Camera that looks along `forward` at the object's origin."""
    T = np.eye(4)
    T[:3, :3] = look_along(np.asarray(forward, float))
    T[2, 3] = distance
    return T


def from_above(distance=4.0):
    """Camera above the object; image right = object x, image down = object -y."""
    T = np.diag([1.0, -1.0, -1.0, 1.0])
    T[2, 3] = distance
    return T


def draw(mesh, T, size=32, f=40.0, **kwargs):
    return render(mesh, intrinsics(f, size, size), T, size, size, **kwargs)


def embree_depth(mesh, K, T, width, height):
    """Depth along z by ray tracing through the pixel centres, 0 = none."""
    scene_module = pytest.importorskip(
        "embreex.rtcore_scene", reason="embreex, the ray tracer used as judge, is not installed"
    )
    from embreex.mesh_construction import TriangleMesh

    points = (mesh.vertices @ T[:3, :3].T + T[:3, 3]).astype(np.float32)
    scene = scene_module.EmbreeScene()
    TriangleMesh(scene, points, mesh.faces)
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([u, v, np.ones_like(u)], -1).reshape(-1, 3) @ np.linalg.inv(K).T
    origins = np.zeros_like(rays, dtype=np.float32)
    # The rays have z = 1, so the distance in ray lengths is the depth.
    depth = scene.run(origins, rays.astype(np.float32), query="DISTANCE").reshape(height, width)
    return np.where(depth < 1e30, depth, 0)


CAMERAS = {
    "paper": (
        intrinsics(64 / np.tan(np.radians(2.5)), 128, 128),
        looking((-3, 1, -1), 30),
        128,
        128,
    ),
    "off-centre, fx != fy, not square": (
        np.array([[400.0, 0, 20.3], [0, 310.0, 71.7], [0, 0, 1]]),
        looking((2, 1, -0.7), 5) + np.array([[0, 0, 0, 0.9], [0, 0, 0, -0.2], [0] * 4, [0] * 4]),
        211,
        97,
    ),
    "near, wide": (intrinsics(110, 160, 120), looking((-1, -2, -1), 2.2), 160, 120),
}


@pytest.mark.parametrize("camera", CAMERAS)
def test_mask_and_depth_agree_with_ray_tracing(camera):
    K, T, width, height = CAMERAS[camera]
    for seed in range(4):
        mesh = pile(seed)
        image = render(mesh, K, T, width, height)
        truth = embree_depth(mesh, K, T, width, height)
        assert image.mask.sum() > 500
        # Embree works in single precision: a ray that grazes an edge may go either way.
        assert (image.mask != (truth > 0)).sum() <= 2
        both = image.mask & (truth > 0)
        error = np.abs(image.depth[both] / truth[both] - 1)
        # The same grazing rays may see the next surface at an edge inside the object.
        assert (error > 1e-5).sum() <= 2
        assert np.median(error) < 1e-6


def test_shapes_types_and_emptiness_outside_the_mask():
    image = render(square(), intrinsics(40, 37, 53), from_above(), 37, 53)
    assert image.rgb.shape == (53, 37, 3)
    assert image.mask.shape == image.alpha.shape == image.depth.shape == (53, 37)
    assert image.rgb.dtype == image.alpha.dtype == np.uint8
    assert image.mask.dtype == np.bool_
    assert image.depth.dtype == np.float32
    assert np.array_equal(image.mask, image.depth > 0)
    assert not image.rgb[image.alpha == 0].any()


@pytest.mark.parametrize(
    ("camera", "n_dot_up"),
    [
        (from_above(), 1.0),
        (looking((0, 0.5, 1), 4), -1.0),  # seen from below: the normal turns to the viewer
    ],
)
def test_shading_of_a_level_square(camera, n_dot_up):
    mesh = square(colors=[(0.8, 0.5, 0.2)])
    image = draw(mesh, camera, sky=(0.9, 1.0, 0.7), ground=0.3)
    factor = 0.3 + (np.array([0.9, 1.0, 0.7]) - 0.3) * (0.5 + 0.5 * n_dot_up)
    expected = 255 * np.array([0.8, 0.5, 0.2]) * factor
    # Rounding to a byte is the only difference.
    assert np.abs(image.rgb[16, 16] - expected).max() <= 0.51


def test_shading_of_a_wall_is_halfway_and_follows_the_light():
    wall = flat_mesh([(0, -1, -1), (0, 1, -1), (0, 1, 1), (0, -1, 1)], [(0, 1, 2), (0, 2, 3)])
    T = looking((-1, 0, 0), 4)
    assert draw(wall, T, sky=1.0, ground=0.4).rgb[16, 16, 0] in (178, 179)  # 178.5
    lit_from_camera = draw(wall, T, sky=1.0, ground=0.4, up_camera=np.array([0, 0, -2.0]))
    assert lit_from_camera.rgb[16, 16, 0] == 255


def test_smooth_normals_are_interpolated_and_normalised():
    mesh = square()
    tilted = np.array([(np.sin(a), 0, np.cos(a)) for a in (-0.6, 0.6, 0.6, -0.6)], np.float32)
    mesh = Mesh(
        mesh.vertices,
        mesh.faces,
        tilted[mesh.faces],
        mesh.corner_uv,
        mesh.material_ids,
        mesh.materials,
    )
    image = draw(mesh, from_above(), size=33, samples=1, sky=1.0, ground=0.0)
    for column in (8, 16, 22):
        x = (column - 16) * 4 / 40  # object x at that pixel
        normal = np.array([x * np.sin(0.6), np.cos(0.6)])
        expected = 255 * (0.5 + 0.5 * normal[1] / np.linalg.norm(normal))
        assert abs(image.rgb[16, column, 0] - expected) <= 0.51


def test_texture_is_upright_and_repeats():
    texture = np.zeros((2, 2, 3), np.uint8)
    texture[0, 0] = (255, 0, 0)  # top left
    texture[0, 1] = (0, 255, 0)  # top right
    texture[1, 0] = (0, 0, 255)  # bottom left
    T = from_above()
    image = draw(square(texture=texture), T, size=42, f=80, samples=1, mipmaps=False)
    # The square covers pixels 0.5 to 40.5; texel centres are a quarter of it from its edges.
    assert image.rgb[10, 10].tolist() == pytest.approx([255, 0, 0], abs=20)
    assert image.rgb[10, 30].tolist() == pytest.approx([0, 255, 0], abs=20)
    assert image.rgb[30, 10].tolist() == pytest.approx([0, 0, 255], abs=20)
    shifted = draw(
        square(texture=texture, uv_shift=-3.0), T, size=42, f=80, samples=1, mipmaps=False
    )
    # Texture coordinates are single precision, so the shift costs them some last digits.
    assert np.abs(image.rgb.astype(int) - shifted.rgb).max() <= 1


def test_texture_is_perspective_correct():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 4, axis=0).repeat(3, axis=2)
    T = looking((-1, 0.2, -0.5), 3)
    K = intrinsics(60, 64, 64)
    image = render(square(texture=ramp), K, T, 64, 64, samples=1, mipmaps=False, ground=1.0)
    rows, columns = np.nonzero(image.mask)
    rays = np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(K).T
    points = (rays * image.depth[rows, columns, None] - T[:3, 3]) @ T[:3, :3]
    u = (points[:, 0] + 1) / 2
    inside = (u > 0.01) & (u < 0.99)  # bilinear reading wraps around at the border
    expected = u[inside] * 256 - 0.5
    # Rounding to a byte, and depth in single precision.
    assert np.abs(image.rgb[rows, columns, 0][inside] - expected).max() <= 0.6


def test_mipmaps_bring_a_fine_texture_to_its_mean():
    checker = ((np.indices((256, 256)).sum(0) % 2) * 255).astype(np.uint8)[..., None].repeat(3, 2)
    mesh = square(texture=checker)
    kwargs = {"f": 20.37, "sky": 1.0, "ground": 1.0}
    inner = (slice(13, 19), slice(13, 19))
    assert np.abs(draw(mesh, from_above(), **kwargs).rgb[inner] - 127.5).max() <= 1
    raw = draw(mesh, from_above(), mipmaps=False, samples=1, **kwargs).rgb[inner]
    assert raw.std() > 10


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_coincident_faces_the_front_one_is_shown(order):
    front, back = [(0, 1, 2), (0, 2, 3)], [(0, 2, 1), (0, 3, 2)]
    corners = [(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)]
    faces = np.array([front, back])[list(order)].reshape(-1, 3)
    ids = np.repeat(np.array(order), 2)
    mesh = flat_mesh(corners, faces, colors=[(1, 0, 0), (0, 0, 1)], material_ids=ids)
    above = draw(mesh, looking((0.3, 0.1, -1), 4))
    below = draw(mesh, looking((0.3, 0.1, 1), 4))
    assert above.mask.any()
    assert not above.rgb[..., 2].any()
    assert not below.rgb[..., 0].any()
    assert below.rgb[below.mask][:, 2].all()


def test_nearer_surface_hides_the_farther_in_any_order():
    low = square(z=0.0, colors=[(1, 0, 0)])
    for first, second in ((0.0, 0.01), (0.01, 0.0)):
        corners = np.concatenate([square(z=first).vertices, square(z=second).vertices])
        faces = np.concatenate([low.faces, low.faces + 4])
        colors = [(first > second, 0, 1), (second > first, 0, 1)]
        mesh = flat_mesh(corners, faces, colors=colors, material_ids=[0, 0, 1, 1])
        image = draw(mesh, from_above(30), f=400)
        assert image.rgb[16, 16, 0] > 0


def test_alpha_counts_samples_and_premultiplies():
    # The right edge lies at u = 20.1: of the samples of pixel 20 at 19.67, 20, 20.33 two are in.
    size, f, z = 41, 40.0, 4.0
    edge = (20.1 - 20) * z / f
    mesh = flat_mesh([(-2, -2, 0), (edge, -2, 0), (edge, 2, 0), (-2, 2, 0)], [(0, 1, 2), (0, 2, 3)])
    image = draw(mesh, from_above(z), size=size, f=f)
    assert image.alpha[20, 18:23].tolist() == [255, 255, 170, 0, 0]
    assert image.rgb[20, 18:23, 1].tolist() == [255, 255, 170, 0, 0]
    assert image.mask[20, 18:23].tolist() == [True, True, True, False, False]


def test_shared_edges_leave_no_cracks_even_on_sample_positions():
    n = 13  # vertices land exactly on pixel centres: distance / focal length = 0.1 units per pixel
    x, y = np.meshgrid(np.arange(n) - 6, np.arange(n) - 6)
    vertices = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3) * 0.1
    i = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    faces = np.concatenate(
        [np.stack([i, i + 1, i + n + 1], -1), np.stack([i, i + n + 1, i + n], -1)]
    )
    image = draw(flat_mesh(vertices, faces), from_above(4.0), size=21, f=40.0)
    assert (image.alpha[5:16, 5:16] == 255).all()
    turned = draw(flat_mesh(vertices, faces), looking((0.3, 0.7, -1), 1.0), size=64, f=40.0)
    outline = draw(square_of(0.6), looking((0.3, 0.7, -1), 1.0), size=64, f=40.0)
    assert np.array_equal(turned.alpha, outline.alpha)


def square_of(half):
    corners = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)]) * half
    return flat_mesh(corners, [(0, 1, 2), (0, 2, 3)])


def test_uniform_scale_changes_only_the_depth():
    mesh = pile(3)
    T = looking((-2, 1, -1), 6.0)
    scaled = T.copy()
    scaled[:3] *= 0.25
    a, b = draw(mesh, T, size=64, f=100), draw(mesh, scaled, size=64, f=100)
    assert np.array_equal(a.mask, b.mask)
    assert np.abs(a.rgb.astype(int) - b.rgb).max() <= 1
    assert b.depth[b.mask] == pytest.approx(0.25 * a.depth[a.mask], rel=1e-6)


def test_same_input_gives_the_same_bits_packed_or_not():
    mesh = pile(5)
    packed = pack(mesh)
    T = looking((-2, 1, -1), 6.0)
    images = [draw(m, T, size=64, f=100) for m in (mesh, packed, packed)]
    for image in images[1:]:
        for name in ("rgb", "mask", "alpha", "depth"):
            assert np.array_equal(getattr(image, name), getattr(images[0], name))


def test_image_that_cuts_the_object_equals_a_part_of_the_full_image():
    mesh = pile(7)
    T = looking((-2, 1, -1), 6.0)
    K = intrinsics(100, 64, 64)
    full = render(mesh, K, T, 64, 64)
    K_part = K.copy()
    K_part[:2, 2] -= (24, 20)
    part = render(mesh, K_part, T, 16, 24)
    assert full.mask[20:44, 24:40].any()
    # Shifting the principal point rounds differently, which may move a sample on an edge.
    assert (part.mask != full.mask[20:44, 24:40]).sum() <= 1
    difference = np.abs(part.rgb.astype(int) - full.rgb[20:44, 24:40])
    assert (difference > 1).sum() <= 6


def test_triangles_behind_the_camera_are_dropped():
    mesh = pile(1)
    inside = draw(mesh, looking((1, 0, -0.1), 0.1))
    assert np.isfinite(inside.depth).all()
    behind = draw(mesh, looking((1, 0, -0.1), -5.0))
    assert not behind.alpha.any()


def test_vertex_that_is_not_a_number_takes_only_its_triangles_away():
    mesh = square()
    vertices = mesh.vertices.copy()
    vertices[3] = np.nan
    broken = Mesh(
        vertices,
        mesh.faces,
        mesh.corner_normals,
        mesh.corner_uv,
        mesh.material_ids,
        mesh.materials,
    )
    image = draw(broken, from_above(), size=42, f=80)
    assert image.mask[30, 30]
    assert not image.mask[10, 10]


def test_object_outside_the_image_gives_an_empty_image():
    T = from_above()
    T[0, 3] = 50
    assert not draw(square(), T).alpha.any()


def test_all_problems_are_reported_at_once():
    with pytest.raises(ValueError, match="Cannot render") as error:
        render(square(), np.eye(4), np.eye(3), 0, 5, samples=2)
    for part in (
        "K must have shape (3, 3)",
        "T_camera_object must have shape (4, 4)",
        "width and height must be at least 1, got 0 x 5",
        "samples must be odd (1, 3, 5, ...), got 2",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"up_camera": np.zeros(3)}, "up_camera must be a finite, non-zero vector"),
        ({"sky": (1.0, 2.0)}, "sky must be a finite number or an RGB triple"),
    ],
)
def test_wrong_light_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        draw(square(), from_above(), **kwargs)


def test_texture_that_is_not_8_bit_rgb_is_refused():
    mesh = square(texture=np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"'m0' must be uint8 of shape \(H, W, 3\), got uint8"):
        pack(mesh)
