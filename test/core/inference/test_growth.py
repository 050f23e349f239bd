"""Standard deviations that grow with what a view shows of its difficulty."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_model import CANONICAL, draw_scene

from kp3d_core.geometry.rotation import make_transform
from kp3d_core.inference import Calibration, DepthScale, Detector, Region, rescale
from kp3d_core.inference.growth import growth_of, misfit, view_traits
from kp3d_core.inference.lift import LiftedKeypoints
from kp3d_core.inference.model import ViewTraits
from kp3d_core.inference.pose_fit import fit_layout

TYPICAL = ViewTraits(misfit=0.07, foreshortening=0.3, log_distance=2.0)


def test_typical_view_keeps_its_errors():
    slopes = ViewTraits(9.0, 1.0, -0.1)
    calibration = Calibration(typical=TYPICAL, own_growth=slopes, scale_growth=slopes)
    growth = growth_of(TYPICAL, calibration)
    assert (growth.own, growth.scale) == (1, 1)


def test_growth_follows_its_slopes_within_bounds():
    calibration = Calibration(
        typical=TYPICAL, own_growth=ViewTraits(misfit=10.0), scale_growth=ViewTraits(0.0, 2.0, -0.5)
    )
    harder = dataclasses.replace(TYPICAL, misfit=0.12, foreshortening=0.8, log_distance=1.0)
    growth = growth_of(harder, calibration)
    assert growth.own == pytest.approx(math.exp(0.5))
    assert growth.scale == pytest.approx(4.0)  # exp(1.5), cut off
    assert growth.common.tolist() == [growth.scale, 1.0]
    assert growth_of(dataclasses.replace(TYPICAL, misfit=-9.0), calibration).own == 0.25


def test_doubt_counts_as_misfit():
    assert misfit(0.05, np.array([1.0, 1.0])) == pytest.approx(0.05)
    assert misfit(0.05, np.array([0.9, 0.7])) == pytest.approx(0.05 + 0.35 * 0.2)


def _traits(T, model, *, unit_m=1.0, orientation_score=0.9, scale=1.0, R_crop_camera=None):
    return view_traits(
        T,
        0.1,
        orientation_score,
        model.keypoints,
        unit_m,
        scale=scale,
        R_crop_camera=np.eye(3) if R_crop_camera is None else R_crop_camera,
    )


@pytest.mark.parametrize("unit_m", [1.0, 2.25])
def test_traits_of_a_pose(model, unit_m):
    # Seen along its longest axis, then from the side.
    ahead = Rotation.from_euler("y", 90, degrees=True).as_matrix()
    end_on = make_transform(ahead, np.array([0, 0, 8.0 * unit_m]))
    side_on = make_transform(np.eye(3), np.array([0, 0, 8.0 * unit_m]))
    variance = CANONICAL.var(axis=0)
    along, across = (_traits(T, model, unit_m=unit_m) for T in (end_on, side_on))
    assert along.foreshortening == pytest.approx(variance[0] / variance.sum())
    assert across.foreshortening == pytest.approx(variance[2] / variance.sum())
    assert along.log_distance == pytest.approx(math.log(8))
    assert along.certainty == pytest.approx(math.log(9))


@pytest.mark.parametrize(
    ("score", "certainty"), [(0.5, 0.0), (0.0, math.log(1e-9)), (1.0, 8.0), (1 - 1e-5, 8.0)]
)
def test_certainty_of_the_orientation_is_bounded(model, score, certainty):
    T = make_transform(np.eye(3), np.array([0, 0, 8.0]))
    traits = _traits(T, model, orientation_score=score)
    assert traits.certainty == pytest.approx(certainty, abs=1e-9)


def test_elevation_is_that_of_the_camera_above_the_object(model):
    # Upright and seen from 30 degrees above: the object's z axis points up in the image and a bit
    # towards the camera; beside the optical axis the line of sight counts.
    R = Rotation.from_euler("x", 90 + 30, degrees=True).as_matrix()
    for sideways in (0.0, 3.0):
        t = np.array([sideways, 0, 8.0])
        traits = _traits(make_transform(R, t), model)
        assert traits.elevation == pytest.approx(0.5 * 8 / np.linalg.norm(t))


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_zoom_has_no_sign(model, scale):
    traits = _traits(make_transform(np.eye(3), np.array([0, 0, 8.0])), model, scale=scale)
    assert traits.zoom == pytest.approx(math.log(1.25))


@pytest.mark.parametrize("roll_deg", [-20.0, 0.0, 35.0])
def test_roll_is_that_of_the_object_in_the_crop(model, roll_deg):
    # Upright in the crop and seen from 30 degrees above, then rolled; the crop itself is rolled in
    # the camera's image by another angle.
    upright = Rotation.from_euler("x", 90 + 30, degrees=True)
    R_crop_camera = Rotation.from_euler("z", 50, degrees=True)
    R = R_crop_camera.inv() * Rotation.from_euler("z", roll_deg, degrees=True) * upright
    T = make_transform(R.as_matrix(), np.array([0, 0, 8.0]))
    traits = _traits(T, model, R_crop_camera=R_crop_camera.as_matrix())
    assert traits.roll == pytest.approx(abs(math.radians(roll_deg)), abs=1e-9)


def test_an_object_seen_from_above_has_no_roll(model):
    above = make_transform(
        Rotation.from_euler("x", 180, degrees=True).as_matrix(), np.array([0, 0, 8.0])
    )
    assert _traits(above, model).roll == 0.0


def test_detector_grows_all_covariances_of_a_hard_view(model, engine, pinhole):
    """A misfit of 0.1 over a typical 0: standard deviations by e, the size's by its own factor."""
    T = make_transform(Rotation.from_rotvec([0.5, -0.9, 0.3]).as_matrix(), np.array([0.3, 0, 8.0]))
    image = draw_scene(pinhole, T, 1.1)
    region = Region(230.0, 160.0, 220.0, 160.0)

    def detect(**changes):
        calibration = dataclasses.replace(model.calibration, **changes)
        changed = dataclasses.replace(model, calibration=calibration)
        return Detector(changed, engine, object_size_m=2.2).detect(image, pinhole, region)

    plain = detect()
    traits = ViewTraits(misfit=plain.misfit - 0.1)
    grown = detect(
        typical=traits, own_growth=ViewTraits(misfit=10.0), scale_growth=ViewTraits(misfit=5.0)
    )
    assert np.allclose(grown.own_covariance, math.e**2 * plain.own_covariance)
    assert np.allclose(grown.common_errors[0], math.exp(0.5) * plain.common_errors[0])
    assert np.array_equal(grown.common_errors[1], plain.common_errors[1])
    assert np.allclose(grown.T_camera_object, plain.T_camera_object)
    ratio = grown.pose_covariance[3:, 3:] / plain.pose_covariance[3:, 3:]
    assert np.diag(ratio).min() > math.e  # both kinds of error grow by that variance at least
    assert np.diag(ratio).max() <= math.e**2 * (1 + 1e-9)


def test_one_covariance_for_detector_calibration_and_depth(model, engine, pinhole):
    """What a detector tells is what the calibration measures, and what a depth image rescales."""
    layout = dataclasses.replace(model.keypoints, spread=np.full((model.keypoints.count, 3), 0.2))
    calibration = dataclasses.replace(
        model.calibration,
        own_growth=ViewTraits(misfit=100.0),
        scale_growth=ViewTraits(misfit=5.0),
        rotation_scale=1.3,
        translation_scale=0.8,
    )
    model = dataclasses.replace(model, keypoints=layout, calibration=calibration)
    T = make_transform(Rotation.from_rotvec([0.5, -0.9, 0.3]).as_matrix(), np.array([0.3, 0, 8.0]))
    detection = Detector(model, engine, object_size_m=2.2).detect(
        draw_scene(pinhole, T, 1.1), pinhole, Region(230.0, 160.0, 220.0, 160.0)
    )
    lifted = LiftedKeypoints(
        detection.keypoints_camera, detection.own_covariance, detection.common_errors
    )

    fit = fit_layout(layout, lifted, detection.unit_m, detection.growth)
    along_ray = DepthScale(detection.unit_m, relative_std=0.01, agreeing=4)

    assert detection.growth > 1.2
    np.testing.assert_allclose(detection.T_camera_object, fit.T, atol=1e-12)
    np.testing.assert_allclose(detection.pose_covariance, fit.covariance(0.8, 1.3), atol=1e-12)
    # The scale of a depth image says nothing of the rotation, but for what the size's error turns.
    np.testing.assert_allclose(
        np.diag(rescale(detection, model, along_ray).pose_covariance)[3:],
        np.diag(detection.pose_covariance)[3:],
        rtol=0.01,
    )
