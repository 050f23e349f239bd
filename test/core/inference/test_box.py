"""A given box and the network agree on where an object is, each by its error."""

import dataclasses
import math

import numpy as np
import pytest

from kp3d_core.inference import CameraModel, Region, View
from kp3d_core.inference.box import box_of, kept_view, match_box
from kp3d_core.inference.model import Extent

K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
CAMERA = CameraModel(K, 640, 480)
EXTENT = Extent(np.array([1.0, 0.4, 0.3]), size_std=0.1, place_std=0.05)
SCALE_STD = 0.1


def pose(x=0.0, z=10.0):
    """Seen from the left side, 10 units away."""
    T = np.eye(4)
    T[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    T[:3, 3] = x, 0, z
    return T


def region(box, **changes):
    left, top, right, bottom = box
    return dataclasses.replace(Region(left, top, right - left, bottom - top), **changes)


def match(box, T, extent=EXTENT):
    return match_box(T, 1.0, SCALE_STD, box, extent, CAMERA)


def test_box_of_the_mean_object():
    # Its sides that face the camera are 0.4 nearer than its middle.
    left, top, right, bottom = box_of(pose(), 1.0, EXTENT, CAMERA)
    near = 500 / 9.6
    assert (right - left, bottom - top) == pytest.approx((2 * near, 0.6 * near))
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((320, 240))
    assert box_of(pose(z=0.3), 1.0, EXTENT, CAMERA) is None


def test_what_agrees_changes_nothing_and_is_known_better():
    agreed = match(region(box_of(pose(), 1.0, EXTENT, CAMERA)), pose())
    np.testing.assert_allclose(agreed.place_px, 0, atol=1e-9)
    assert agreed.log_size == pytest.approx(0, abs=1e-9)
    # Two Gaussians: 1 / variance = 1 / 0.1^2 + 1 / (0.1^2 / 2 + 0.1^2)
    assert agreed.size_variance == pytest.approx(1 / (1 + 1 / 1.5))


@pytest.mark.parametrize(("error", "share"), [(0.01, 0.96), (0.1, 0.2), (1.0, 0.0025)])
def test_place_lies_between_box_and_network_by_their_errors(error, share):
    true = box_of(pose(x=0.02), 1.0, EXTENT, CAMERA)
    moved = match(region(true, error=error), pose())
    offset = 500 * 0.02 / 10
    assert moved.place_px[0] / offset == pytest.approx(share, rel=0.15)


def test_who_sees_something_else_goes_back_to_the_box():
    # A neighbour, one and a half lengths beside: the box counts nearly alone.
    moved = match(region(box_of(pose(x=3.0), 1.0, EXTENT, CAMERA)), pose())
    assert moved.place_px[0] / 150 > 0.95


def test_size_of_the_box_tells_the_distance():
    nearer = match(region(box_of(pose(z=9.5), 1.0, EXTENT, CAMERA)), pose())
    assert 0.3 < nearer.log_size / math.log(10 / 9.5) < 0.5
    unknown = match(
        region(box_of(pose(z=9.5), 1.0, EXTENT, CAMERA)), pose(),
        dataclasses.replace(EXTENT, size_std=math.inf),
    )  # fmt: skip
    assert (unknown.log_size, unknown.size_variance) == (0, 1)


def test_sides_that_the_image_cuts_off_tell_nothing():
    T = pose(x=-6.2)
    left, top, right, bottom = box_of(T, 1.0, EXTENT, CAMERA)
    assert left < -0.5
    cut = match(region((-0.5, top + 2, right, bottom + 2)), T)
    assert cut.place_px[0] == 0
    assert cut.place_px[1] == pytest.approx(2, rel=0.9)
    assert cut.log_size == pytest.approx(0, abs=1e-9)  # by its height alone


def test_a_place_that_is_no_box_says_nothing():
    assert match(region(box_of(pose(), 1.0, EXTENT, CAMERA), error=math.inf), pose()) is None
    assert match(Region(-0.5, -0.5, 640.0, 480.0), pose()) is None


def test_the_next_view_shows_what_both_agree_on():
    agreed = match(region(box_of(pose(x=0.1, z=9.5), 1.0, EXTENT, CAMERA)), pose())
    view = kept_view(View((0.0, 0.0, 1.0), 700.0), pose(), agreed, CAMERA)
    ray = np.array([agreed.place_px[0] / 500, agreed.place_px[1] / 500, 1])
    np.testing.assert_allclose(view.center_ray / view.center_ray[2], ray, atol=1e-9)
    assert view.focal_px == pytest.approx(700 * math.exp(-agreed.log_size))


def test_errors_that_are_none_are_refused():
    with pytest.raises(ValueError, match="error of a Region must be positive"):
        Region(0.0, 0.0, 10.0, 10.0, 0.0)
