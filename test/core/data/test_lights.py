"""Light of rendered views: the paper's stays what it was, varied light comes from all sides."""

import numpy as np
import pytest

from kp3d_core.data.cameras import look_along
from kp3d_core.data.generate import GenerateSettings, procedural_source, render_instance
from kp3d_core.data.lights import overhead_light, varied_light
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
    with pytest.raises(ValueError, match="light must be one of overhead, varied, got 'neon'"):
        GenerateSettings("car", "test", 1, light="neon")
