"""Views before photographs and through a sensor: the object stays, the same for every model."""

import numpy as np
import pytest
from PIL import Image

from kp3d_core.data.memory import load_views
from kp3d_core.evaluation.before_photographs import before_photographs


@pytest.fixture(scope="module")
def green(tmp_path_factory):
    folder = tmp_path_factory.mktemp("green")
    Image.fromarray(np.full((100, 100, 3), (0, 180, 0), np.uint8)).save(folder / "a.png")
    return folder


def test_the_object_stays_and_the_rest_is_a_photograph(rendered_cars, green):
    views = load_views(rendered_cars / "val", 64)
    changed = before_photographs(views, green, sensor=False)
    assert np.array_equal(changed.rgba[..., 3], views.rgba[..., 3])
    inside = views.rgba[..., 3] == 255
    visible = inside & (changed.rgba[..., :3].max(-1) > 0)  # not beyond an image border
    assert np.abs(changed.rgba[visible, :3].astype(int) - views.rgba[visible, :3]).max() <= 1
    outside = changed.rgba[views.rgba[..., 3] == 0]
    assert outside[:, [0, 2]].max() == 0
    assert (outside[:, 1] > 60).mean() > 0.6  # darker in shadows and dark crops, black at borders
    again = before_photographs(views, green, sensor=False)
    assert np.array_equal(changed.rgba, again.rgba)


def test_the_sensor_changes_most_views(rendered_cars):
    views = load_views(rendered_cars / "val", 64)
    changed = before_photographs(views, None, sensor=True)
    different = (changed.rgba != views.rgba).any(axis=(2, 3, 4))
    assert different.mean() > 0.5
    assert np.array_equal(changed.K, views.K)
