"""Views are as asked, and what the truth says is what the pixels show."""

import dataclasses

import numpy as np
import pytest

from kp3d_core.data.cameras import look_along
from kp3d_core.data.procedural import make_instance
from kp3d_core.evaluation.robustness.placement import (
    HEIGHT,
    WIDTH,
    ViewSpec,
    place,
    silhouette_box,
)
from kp3d_core.geometry.crop import make_crop_camera
from kp3d_core.rendering.packing import pack
from kp3d_core.rendering.rasterizer import render

SPEC = ViewSpec(azimuth_deg=40.0, elevation_deg=25.0, place=(0.7, -0.4))


@pytest.fixture(scope="module")
def car():
    return pack(make_instance("car", 40_000_011).mesh)


def changed(**values):
    return dataclasses.replace(SPEC, **values)


def box_of(car, spec):
    placement = place(car, spec)
    return silhouette_box(car, placement.T_camera_object, placement.K)


@pytest.mark.parametrize("fov_deg", [5.0, 30.0, 60.0])
@pytest.mark.parametrize("size_px", [24.0, 240.0, 384.0])
def test_size_in_the_middle_of_the_image(car, fov_deg, size_px):
    left, top, right, bottom = box_of(
        car, changed(fov_deg=fov_deg, size_px=size_px, place=(0.0, 0.0))
    )
    # Moving the box to the middle turns the camera a little after the distance was found.
    assert max(right - left, bottom - top) == pytest.approx(size_px, rel=0.01)
    assert [(left + right) / 2, (top + bottom) / 2] == pytest.approx(
        [(WIDTH - 1) / 2, (HEIGHT - 1) / 2], abs=0.5
    )


@pytest.mark.parametrize("corner", [(-1.0, -1.0), (1.0, 1.0), (1.0, -1.0)])
def test_the_object_stays_inside_the_image(car, corner):
    for fov_deg in (5.0, 60.0):
        left, top, right, bottom = box_of(car, changed(fov_deg=fov_deg, place=corner))
        assert min(left, top) > 0
        assert right < WIDTH - 1
        assert bottom < HEIGHT - 1
        # ... and is where it was put: at the border of the free room.
        assert (left < 5) if corner[0] < 0 else (right > WIDTH - 6)


def test_the_truth_is_what_the_pixels_show(car):
    # The box of the projected vertices against that of the rendered mask; a pixel belongs to the
    # mask if its centre is covered, so each edge may be off by less than one, thin parts by more.
    placement = place(car, SPEC)
    mask = render(car, placement.K, placement.T_camera_object, WIDTH, HEIGHT).mask
    rows, columns = np.nonzero(mask)
    seen = [columns.min(), rows.min(), columns.max(), rows.max()]
    box = silhouette_box(car, placement.T_camera_object, placement.K)
    assert np.abs(box - seen).max() < 2


@pytest.mark.parametrize("side", range(4))
@pytest.mark.parametrize("percent", [10.0, 40.0])
def test_share_outside_the_image(car, side, percent):
    spec = changed(side=side, truncated_percent=percent)
    placement = place(car, spec)
    pad = 400
    K = placement.K.copy()
    K[:2, 2] += pad  # the same camera with a larger image around the old one
    mask = render(
        car, K, placement.T_camera_object, WIDTH + 2 * pad, HEIGHT + 2 * pad, samples=1
    ).mask
    outside = 1 - mask[pad:-pad, pad:-pad].sum() / mask.sum()
    assert 100 * outside == pytest.approx(percent, abs=1)  # a row of pixels is 1 % of a car
    # It is the asked side that cuts: the car reaches the border there and at no other side.
    inner = mask[pad:-pad, pad:-pad]
    touched = [inner[:, 0].any(), inner[:, -1].any(), inner[0].any(), inner[-1].any()]
    assert touched == [k == side for k in range(4)]


def test_elevation_and_azimuth_are_those_of_the_camera(car):
    T = place(car, SPEC).T_camera_object
    x, y, z = -T[:3, :3].T @ T[:3, 3]  # the camera in the object frame
    assert np.degrees(np.arctan2(y, x)) == pytest.approx(40)
    assert np.degrees(np.arctan2(z, np.hypot(x, y))) == pytest.approx(25)


@pytest.mark.parametrize("roll_deg", [-30.0, 0.0, 20.0])
def test_roll_is_what_the_crop_of_the_detector_sees(car, roll_deg):
    # Upright by the given gravity, a crop towards the object shows it rolled by just that angle.
    placement = place(car, changed(roll_deg=roll_deg))
    T = placement.T_camera_object
    crop = make_crop_camera(T[:3, 3], 500.0, 64, placement.down_camera)
    R_crop_object = crop.R_crop_camera @ T[:3, :3]
    upright = look_along(R_crop_object[2])
    x, y = (R_crop_object @ upright.T)[:2, 0]
    assert np.degrees(np.arctan2(y, x)) == pytest.approx(roll_deg, abs=1e-6)


def test_other_values_keep_the_direction(car):
    reference = place(car, SPEC).T_camera_object
    for spec in (changed(fov_deg=10.0), changed(size_px=60.0), changed(truncated_percent=30.0)):
        T = place(car, spec).T_camera_object
        to_camera = [-M[:3, :3].T @ M[:3, 3] for M in (reference, T)]
        a, b = (v / np.linalg.norm(v) for v in to_camera)
        assert a @ b == pytest.approx(1, abs=1e-9)
