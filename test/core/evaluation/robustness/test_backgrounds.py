"""Backgrounds and light: full of edges, and the same for the same seed."""

import numpy as np
import pytest

from kp3d_core.evaluation.robustness import patterns, scenery
from kp3d_core.evaluation.robustness.backgrounds import (
    FAMILIES,
    composite,
    draw_light,
    paint_background,
)

SIZE = 128
PAINTERS = {
    "bricks": patterns.bricks,
    "tiles": patterns.tiles,
    "planks": patterns.planks,
    "stripes": patterns.stripes,
    "text": patterns.text,
    "gravel": scenery.gravel,
    "foliage": scenery.foliage,
    "landscape": scenery.landscape,
    "clutter": lambda rng, shape_hw: scenery.clutter(rng, shape_hw, "car"),
}


def fine_detail(image):
    """Share of the brightness's variance in waves shorter than a sixteenth of the image."""
    grey = image.mean(-1) - image.mean()
    power = np.abs(np.fft.rfft2(grey * np.outer(np.hanning(SIZE), np.hanning(SIZE)))) ** 2
    rows = np.abs(np.fft.fftfreq(SIZE, 1 / SIZE))[:, None]
    return power[np.maximum(rows, np.arange(SIZE // 2 + 1)) > 16].sum() / power.sum()


def test_every_family_has_a_painter():
    assert set(PAINTERS) == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_families_have_edges(family):
    # Before blur and sensor noise, which would add detail of their own. Measured: 0.07 to 0.35;
    # smooth noise of 16 cells, as in training backgrounds, stays below 0.005.
    images = [PAINTERS[family](np.random.default_rng(k), (SIZE, SIZE)) for k in range(9)]
    assert np.median([fine_detail(image) for image in images]) > 0.03


@pytest.mark.parametrize("family", FAMILIES)
def test_the_seed_decides_the_background(family):
    first, again, other = (
        paint_background(family, np.random.default_rng(seed), (60, 80), "car") for seed in (1, 1, 2)
    )
    assert first.shape == (60, 80, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert np.abs(first.astype(float) - other).mean() > 5  # grey levels: visibly another picture


def test_a_pattern_looks_alike_in_every_resolution():
    # Same generator, same bricks: shrunk to the small one, the large image is the small one up to
    # where single pixels fall beside an edge.
    small = patterns.bricks(np.random.default_rng(5), (60, 80))
    large = patterns.bricks(np.random.default_rng(5), (240, 320))
    shrunk = large.reshape(60, 4, 80, 4, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 0.1 * small.std() + 0.02


def test_unknown_family():
    with pytest.raises(ValueError, match=r"family must be one of bricks.*got 'smoke'"):
        paint_background("smoke", np.random.default_rng(0), (8, 8), "car")


def test_composite_over_what_is_behind():
    rgb = np.zeros((1, 3, 3), np.uint8)
    rgb[0, 1], rgb[0, 2] = 100, 200  # half covered (premultiplied) and fully covered
    alpha = np.array([[0, 128, 255]], np.uint8)
    behind = np.full((1, 3, 3), 50, np.uint8)
    assert composite(rgb, alpha, behind)[0, :, 0].tolist() == [50, 125, 200]


def test_light_comes_from_above_the_horizon_and_from_the_side():
    lights = [draw_light(np.random.default_rng(k)) for k in range(200)]
    up = np.array([light.up_object for light in lights])
    assert np.linalg.norm(up, axis=1) == pytest.approx(1)
    tilt_deg = np.degrees(np.arccos(up[:, 2]))
    assert tilt_deg.max() < 75.01
    assert np.median(tilt_deg) > 25  # training: always 0
    sky = np.array([light.sky for light in lights])
    assert (sky[:, 0] > 1.1 * sky[:, 2]).any()  # warm
    assert (sky[:, 2] > 1.1 * sky[:, 0]).any()  # cool
