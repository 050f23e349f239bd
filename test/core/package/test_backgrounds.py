"""Backgrounds of the views that covariances are calibrated on."""

import numpy as np
import pytest
from PIL import Image

from kp3d_core.data.memory import ViewSet
from kp3d_core.package.backgrounds import before_backgrounds


@pytest.fixture
def views():
    """Forty views of a white square over black."""
    rgba = np.zeros((2, 20, 32, 32, 4), np.uint8)
    rgba[:, :, 10:20, 10:20] = 255
    K, T = np.zeros((2, 20, 3, 3), np.float32), np.zeros((2, 20, 4, 4), np.float32)
    return ViewSet(rgba, K, T, ("a", "b"), "square", 100.0, 30.0)


def test_none_leaves_the_views_alone(views):
    assert before_backgrounds(views, 0.0) is views


def test_a_share_of_the_views_stands_before_something(views):
    changed = before_backgrounds(views, 0.5)
    assert np.array_equal(changed.rgba[..., 3], views.rgba[..., 3])
    outside = changed.rgba[..., :3].astype(float) * (views.rgba[..., 3:] == 0)
    bright = outside.mean((2, 3, 4)) > 2
    assert 8 <= bright.sum() <= 32  # 20 of 40, four standard deviations
    still = ~bright
    assert np.array_equal(changed.rgba[still], views.rgba[still])
    again = before_backgrounds(views, 0.5)
    assert np.array_equal(changed.rgba, again.rgba)


def test_photographs_are_what_most_of_them_are(views, tmp_path):
    Image.fromarray(np.full((100, 100, 3), (0, 180, 0), np.uint8)).save(tmp_path / "green.png")
    changed = before_backgrounds(views, 1.0, tmp_path)
    outside = views.rgba[..., 3] == 0
    colors = [
        image[where].mean(0) for image, where in zip(changed.rgba[0], outside[0], strict=True)
    ]
    green = [r + b < 0.3 * g for r, g, b, _ in colors]  # a sensor's faults let them be seen
    assert 8 <= sum(green) <= 19  # most of 20, less those that are made up or turned grey


def test_what_is_no_share_is_refused(views):
    with pytest.raises(ValueError, match=r"backgrounds must be in \[0, 1\], got 1.5"):
        before_backgrounds(views, 1.5)
