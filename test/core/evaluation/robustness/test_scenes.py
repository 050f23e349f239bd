"""Scenes: deterministic, hidden as asked, with the box of what is visible."""

import dataclasses

import numpy as np
import pytest

from kp3d_core.data.procedural import make_instance
from kp3d_core.evaluation.robustness.placement import HEIGHT, WIDTH
from kp3d_core.evaluation.robustness.scenes import draw_setting, shoot
from kp3d_core.rendering.packing import pack


@pytest.fixture(scope="module")
def car():
    return pack(make_instance("car", 40_000_011).mesh)


@pytest.fixture(scope="module")
def setting():
    return draw_setting((1, 2, 3), "car")


def test_the_seed_decides_the_setting(setting):
    again, other = draw_setting((1, 2, 3), "car"), draw_setting((1, 2, 4), "car")
    assert again.spec == setting.spec != other.spec
    assert np.array_equal(again.backgrounds["textured"], setting.backgrounds["textured"])
    assert np.array_equal(again.occluder_texture, setting.occluder_texture)


def test_object_before_both_backgrounds(car, setting):
    scene = shoot(car, setting, setting.spec)
    black, textured = scene.images["black"], scene.images["textured"]
    assert black.shape == (HEIGHT, WIDTH, 3)
    # Far from the object there is nothing but the background.
    left, top, right, bottom = scene.full_box
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    away = (u < left - 2) | (u > right + 2) | (v < top - 2) | (v > bottom + 2)
    assert not black[away].any()
    assert np.array_equal(textured[away], setting.backgrounds["textured"][away])
    # Where it is fully covered, the object looks the same before both.
    same = (black == textured).all(-1) & (black.any(-1))
    assert same.sum() > 0.3 * (right - left) * (bottom - top)


@pytest.mark.parametrize("percent", [10.0, 40.0])
def test_hidden_share_and_visible_box(car, setting, percent):
    spec = dataclasses.replace(setting.spec, occluded_percent=percent)
    scene = shoot(car, setting, spec)
    assert 100 * scene.hidden == pytest.approx(percent, abs=1)  # ties along the occluder's edge
    left, top, right, bottom = scene.full_box
    region = scene.region
    # A visible part is inside the whole; edges of pixels are half a pixel off their centres.
    assert region.x > left - 1
    assert region.y > top - 1
    assert region.x + region.width < right + 1
    assert region.y + region.height < bottom + 1


def test_box_of_a_truncated_object_ends_at_the_border(car, setting):
    spec = dataclasses.replace(setting.spec, truncated_percent=30.0, side=1)
    scene = shoot(car, setting, spec)
    assert scene.region.x + scene.region.width == WIDTH - 0.5
    assert scene.full_box[2] > WIDTH + 10
