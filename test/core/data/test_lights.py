"""Light of rendered views: the paper's stays what it was, varied light comes from all sides."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from kp3d_core.data.cameras import look_along
from kp3d_core.data.generate import GenerateSettings, procedural_source, render_instance
from kp3d_core.data.lights import overhead_light, varied_light
from kp3d_core.data.photographic.surfaces import random_surfaces
from kp3d_core.data.procedural import make_instance
from kp3d_core.rendering.rasterizer import render


def test_overhead_light_is_the_renderers_default():
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = look_along(np.array([-1.0, 0.4, -0.5])), (0.0, 0.0, 30.0)
    K = np.array([[700.0, 0, 31.5], [0, 700.0, 31.5], [0, 0, 1]])
    mesh = make_instance("car", 0).mesh
    light = overhead_light(np.random.default_rng(0)).arguments(T)
    assert np.array_equal(render(mesh, K, T, 64, 64, **light).rgb, render(mesh, K, T, 64, 64).rgb)


def test_varied_light_leans_to_all_sides_and_never_comes_from_below():
    rng = np.random.default_rng(1)
    lights = [varied_light(rng) for _ in range(500)]
    up = np.array([light.up_object for light in lights])
    assert np.linalg.norm(up, axis=1) == pytest.approx(1)
    lean = np.degrees(np.arccos(up[:, 2]))
    assert 75 < lean.max() <= 80
    assert np.abs(up[:, :2].mean(0)).max() < 0.1
    assert all(min(light.sky) > max(light.ground) for light in lights)


def test_lights_change_from_view_to_view_and_repeat_with_the_seed():
    settings = GenerateSettings("car", "test", 1, views=3, image_size=32, light="varied")
    first, again = (render_instance(settings, procedural_source, 5) for _ in range(2))
    assert np.array_equal(first.rgba, again.rgba)
    plain = render_instance(
        GenerateSettings("car", "test", 1, views=3, image_size=32), procedural_source, 5
    )
    assert np.array_equal(plain.mask, first.mask)
    changed = [np.abs(a[..., :3].astype(int) - b[..., :3]).max() for a, b in
               zip(plain.rgba, first.rgba, strict=True)]  # fmt: skip
    assert min(changed) > 5


def test_unknown_light_is_refused():
    with pytest.raises(
        ValueError, match="light must be one of overhead, varied, photographs, got 'neon'"
    ):
        GenerateSettings("car", "test", 1, light="neon")


def test_settings_of_light_for_photographs_are_refused_with_another_light(tmp_path):
    with pytest.raises(ValueError, match="random_surfaces and reflections need light"):
        GenerateSettings("car", "test", 1, light="varied", random_surfaces=0.3)
    with pytest.raises(ValueError, match="random_surfaces must be in"):
        GenerateSettings("car", "test", 1, light="photographs", random_surfaces=1.5)
    empty = GenerateSettings("car", "test", 1, light="photographs", reflections=str(tmp_path))
    with pytest.raises(ValueError, match="must hold photographs"):
        render_instance(empty, procedural_source, 0)


def test_light_of_photographs_keeps_masks_and_repeats_view_by_view(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)).save(
        tmp_path / "a.png"
    )
    wanted = GenerateSettings(
        "car", "test", 1, views=3, image_size=32, light="photographs", random_surfaces=0.5,
        reflections=str(tmp_path),
    )  # fmt: skip
    drawn = render_instance(wanted, procedural_source, 5)
    fewer = render_instance(replace(wanted, views=2), procedural_source, 5)
    assert np.array_equal(drawn.rgba[:2], fewer.rgba)
    plain = render_instance(
        GenerateSettings("car", "test", 1, views=3, image_size=32), procedural_source, 5
    )
    assert np.array_equal(plain.mask, drawn.mask)
    seen = [view[mask][:, :3] for view, mask in zip(drawn.rgba, drawn.mask, strict=True)]
    assert max(pixels.std() for pixels in seen) > 10


def test_random_surfaces_change_colours_and_nothing_else():
    mesh = make_instance("car", 2).mesh
    rng = np.random.default_rng(4)
    pictures = rng.integers(0, 256, (2, 3, 96, 96), np.uint8)
    changed = [random_surfaces(mesh, rng, pictures) for _ in range(4)]
    for other in changed:
        assert np.array_equal(other.vertices, mesh.vertices)
        assert np.array_equal(other.faces, mesh.faces)
    colors = {tuple(m.base_color) + (m.texture is None,) for o in changed for m in o.materials}
    assert len(colors) > 5
