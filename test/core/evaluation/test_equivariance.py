"""Engines whose answer to a shifted image is known."""

import numpy as np
import pytest

from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.equivariance import (
    MAX_SHIFT,
    measure_equivariance,
    shift_images,
    views_with_room,
)

SIZE = 32


def outputs(uv):
    """Engine outputs with these keypoints (B, N, 2); the front is right of the back."""
    front = np.tile(np.array([[1.0, 0], [0, 0]], np.float32), (len(uv), 1, 1))
    return {"keypoints_uv": uv.astype(np.float32), "orientation_uv": front}


class Centroid:
    """Follows the object: its centre of mass, and a point 3 px from it."""

    name = device = precision = "fake"

    def run(self, images):
        mass = images.astype(np.float64).sum(-1)
        grid = np.arange(images.shape[1])
        u = (mass * grid).sum((1, 2)) / mass.sum((1, 2))
        v = (mass * grid[:, None]).sum((1, 2)) / mass.sum((1, 2))
        uv = np.stack([u, v], -1)
        return outputs(np.stack([uv, uv + [3, 0]], axis=1))


class Constant:
    """Ignores the image."""

    name = device = precision = "fake"

    def run(self, images):
        return outputs(np.full((len(images), 2, 2), 7.0))


class Coarse(Centroid):
    """Sees no finer than 4 px."""

    def run(self, images):
        found = super().run(images)
        return found | {"keypoints_uv": 4 * np.round(found["keypoints_uv"] / 4)}


class Turncoat(Centroid):
    """Takes front for back when the object is in the right half."""

    def run(self, images):
        found = super().run(images)
        sign = np.where(found["keypoints_uv"][:, 0, 0] < SIZE / 2, 1.0, -1.0)
        return found | {"orientation_uv": found["orientation_uv"] * sign[:, None, None]}


def squares(corners):
    """A set of one object with a view for each (u, v) of the corner of a 6 px square."""
    rgba = np.zeros((1, len(corners), SIZE, SIZE, 4), np.uint8)
    for view, (u, v) in enumerate(corners):
        rgba[0, view, v : v + 6, u : u + 6] = 200
    n = len(corners)
    K, T = np.zeros((1, n, 3, 3), np.float32), np.zeros((1, n, 4, 4), np.float32)
    return ViewSet(rgba, K, T, ("square",), "square", 100.0, 30.0)


def test_shifted_images_are_moved_and_filled_with_black():
    image = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3) + 1
    right = shift_images(image, 1, "u")
    assert (right[:, :, 1:] == image[:, :, :-1]).all()
    assert (right[:, :, 0] == 0).all()
    down = shift_images(image, 3, "v")
    assert (down[:, 3:] == image[:, :1]).all()
    assert (down[:, :3] == 0).all()


def test_only_views_with_room_are_used():
    corners = [(5, 5), (0, 5), (17, 5), (18, 5), (5, 25), (5, 26)]
    views = squares(corners)
    # 6 px wide at 17: the last pixel 22, after the shift 30 of 31; (5, 26) touches the lower edge.
    assert views_with_room(views, "u", 10) == [(0, 0), (0, 2), (0, 4)]
    assert views_with_room(views, "v", 10) == [(0, 0), (0, 2), (0, 3)]
    assert views_with_room(views, "u", 2) == [(0, 0), (0, 2)]


def test_equivariant_engine_has_no_error():
    figures = measure_equivariance(Centroid(), squares([(5, 5), (9, 12)]))
    for axis in "uv":
        assert figures[axis]["views"] == 2
        assert np.allclose(figures[axis]["mean_px"], 0, atol=1e-5)
        assert figures[axis]["flag_changed"] == [0] * MAX_SHIFT


def test_engine_that_ignores_the_image_errs_by_the_shift():
    figures = measure_equivariance(Constant(), squares([(5, 5)]))
    for axis in "uv":
        assert figures[axis]["mean_px"] == pytest.approx(list(range(1, MAX_SHIFT + 1)))
        assert figures[axis]["lag_px"] == pytest.approx(list(range(1, MAX_SHIFT + 1)))
        assert figures[axis]["p95_px"] == pytest.approx(list(range(1, MAX_SHIFT + 1)))


def test_strided_engine_is_right_at_multiples_of_its_stride():
    figures = measure_equivariance(Coarse(), squares([(5, 5), (6, 9)]))
    mean = figures["u"]["mean_px"]
    assert mean[3] == mean[7] == 0
    assert mean[0] > 0.5
    assert mean[1] > 0.5


def test_swapped_flags_are_counted_apart():
    figures = measure_equivariance(Turncoat(), squares([(4, 4), (12, 4)]))["u"]
    # The centre of the second square is at 14.5: it crosses 16 with a shift of 2.
    assert figures["flag_changed"] == [0] + [0.5] * (MAX_SHIFT - 1)
    assert np.allclose(figures["mean_px"], 0, atol=1e-5)


def test_no_view_with_room():
    assert measure_equivariance(Constant(), squares([(0, 0)])) == {
        "u": {"views": 0},
        "v": {"views": 0},
    }
