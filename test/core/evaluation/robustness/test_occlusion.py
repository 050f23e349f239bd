"""Occluders cover exactly what they are asked to."""

import numpy as np
import pytest

from kp3d_core.evaluation.robustness.occlusion import KINDS, cover_share, put_before

SHAPE = (120, 160)
BOX = (40.0, 30.0, 120.0, 90.0)


@pytest.fixture(scope="module")
def silhouette():
    """An ellipse that fills the box."""
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return ((u - 80) / 40) ** 2 + ((v - 60) / 30) ** 2 < 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.05, 0.2, 0.4, 1.0])
def test_share_of_the_silhouette_is_as_asked(kind, share, silhouette):
    for seed in range(5):
        field = KINDS[kind](np.random.default_rng(seed), SHAPE, BOX)
        cover = cover_share(field, silhouette, share)
        # An upright board covers whole columns at once: 60 of 3769 pixels.
        assert (cover[silhouette] >= 0.5).mean() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_a_larger_share_contains_a_smaller_one(kind, silhouette):
    field = KINDS[kind](np.random.default_rng(3), SHAPE, BOX)
    small, large = (cover_share(field, silhouette, share) for share in (0.1, 0.3))
    assert (large >= small).all()


def test_a_share_in_percent_is_refused(silhouette):
    field = KINDS["post"](np.random.default_rng(0), SHAPE, BOX)
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\], got 40.*not percent"):
        cover_share(field, silhouette, 40.0)


def test_only_covered_pixels_change():
    image = np.full((4, 6, 3), 10, np.uint8)
    texture = np.full((4, 6, 3), 200, np.uint8)
    cover = np.zeros((4, 6), np.float32)
    cover[:, 3:] = 1
    result = put_before(image, cover, texture)
    assert (result[:, :3] == 10).all()
    assert (result[:, 3:] == 200).all()
