"""Relative pose: motion since a reference, with a covariance that Monte Carlo confirms."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_model import CANONICAL, draw_scene, project_with_opencv

from kp3d_core.geometry.rotation import make_transform, rotation_angle, transform_points
from kp3d_core.geometry.symmetry import UNKNOWN_VARIANCE
from kp3d_core.inference import Detection, Detector, Region, RelativePose

UNIT_M = 1.1


def _detect(detector, camera, T: np.ndarray, points=CANONICAL) -> Detection:
    corners = project_with_opencv(camera, transform_points(T, points * UNIT_M))
    low, high = corners.min(axis=0) - 4, corners.max(axis=0) + 4
    region = Region(*(float(value) for value in (*low, *(high - low))))
    return detector.detect(draw_scene(camera, T, UNIT_M, points), camera, region)


@pytest.fixture(scope="module")
def detector(model, engine) -> Detector:
    return Detector(model, engine, object_size_m=2 * UNIT_M)


@pytest.fixture(scope="module")
def reference(detector, pinhole) -> Detection:
    R = Rotation.from_rotvec([0.5, -0.9, 0.3]).as_matrix()
    return _detect(detector, pinhole, make_transform(R, np.array([0.8, -0.4, 8.0])))


def test_nothing_moved(reference):
    motion = RelativePose(reference).update(reference)
    assert np.allclose(motion.T_reference_object, np.eye(4), atol=1e-9)
    assert motion.residual == pytest.approx(0, abs=1e-9)


def test_motion_of_an_unusual_instance(detector, pinhole):
    """An instance unlike the mean object: the absolute pose is biased, the motion is not."""
    points = CANONICAL * [0.9, 1.5, 1.2] + [0.0, 0.0, 0.05]
    T_0 = make_transform(Rotation.from_rotvec([0.3, -0.7, 0.2]).as_matrix(), np.array([0.8, 0, 8]))
    T_1 = make_transform(Rotation.from_rotvec([0.6, 0.4, -0.1]).as_matrix(), np.array([-1, 0.3, 9]))
    first, second = (_detect(detector, pinhole, T, points) for T in (T_0, T_1))
    pose = RelativePose(first)
    motion = pose.update(second)
    assert np.array_equal(pose.T_camera_reference, first.T_camera_object)
    # The motion in the camera frame does not depend on where the object's frame is.
    M = pose.T_camera_reference @ motion.T_reference_object @ np.linalg.inv(pose.T_camera_reference)
    truth = T_1 @ np.linalg.inv(T_0)
    assert math.degrees(rotation_angle(M[:3, :3], truth[:3, :3])) < 1.0
    moved = transform_points(M, transform_points(T_0, points * UNIT_M))
    assert np.allclose(moved, transform_points(T_1, points * UNIT_M), atol=0.012 * 9)


@pytest.mark.parametrize("yaw_deg", [0, 50, 170])
def test_a_round_object_does_not_turn_about_its_axis(reference, yaw_deg):
    """What the keypoints do about the axis, as they follow the camera, is no motion."""
    tilt = Rotation.from_rotvec([0.3, 0.2, 0.0])
    motion = make_transform(
        (tilt * Rotation.from_euler("z", yaw_deg, degrees=True)).as_matrix(), np.array([0.1, 0, 0])
    )
    T_0 = reference.T_camera_object
    moved = T_0 @ motion @ np.linalg.inv(T_0)
    current = dataclasses.replace(
        reference,
        keypoints_camera=transform_points(moved, reference.keypoints_camera),
        own_covariance=moved[:3, :3] @ reference.own_covariance @ moved[:3, :3].T,
    )

    told = RelativePose(reference, symmetry="full").update(current)
    plain = RelativePose(reference).update(current)

    np.testing.assert_allclose(told.T_reference_object[:3, :3], tilt.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(told.T_reference_object[:3, 3], [0.1, 0, 0], atol=1e-9)
    axis = tilt.as_matrix()[:, 2]
    turns = told.covariance[3:, 3:]
    assert axis @ turns @ axis == pytest.approx(UNKNOWN_VARIANCE)
    across = np.linalg.svd(axis[None])[2][1:]  # two directions on which the axis stands upright
    np.testing.assert_allclose(
        across @ turns @ across.T, across @ plain.covariance[3:, 3:] @ across.T, atol=1e-8
    )


def test_covariance_agrees_with_monte_carlo(reference):
    """Noise on both views as their covariances say gives poses as the result's covariance says."""
    rng = np.random.default_rng(0)
    M = make_transform(Rotation.from_rotvec([0.1, 0.8, 0.1]).as_matrix(), np.array([-5.0, 0, 3]))
    R = M[:3, :3]
    reference = dataclasses.replace(  # small errors: the covariance is of first order
        reference,
        own_covariance=0.04 * reference.own_covariance,
        common_errors=0.2 * reference.common_errors,
    )
    current = dataclasses.replace(
        reference,
        keypoints_camera=transform_points(M, reference.keypoints_camera),
        own_covariance=R @ reference.own_covariance @ R.T,
        common_errors=reference.common_errors @ R.T,
    )
    predicted = RelativePose(reference).update(current)

    errors = []
    for _ in range(1500):
        noisy_reference, noisy_current = _with_noise(reference, rng), _with_noise(current, rng)
        pose = RelativePose(noisy_reference)
        T = pose.update(noisy_current).T_reference_object
        turn = Rotation.from_matrix(T[:3, :3] @ predicted.T_reference_object[:3, :3].T)
        shift = T[:3, 3] - predicted.T_reference_object[:3, 3]
        errors.append([*shift, *turn.as_rotvec()])
    whitener = np.linalg.inv(np.linalg.cholesky(predicted.covariance))
    # Sampling error of 1500 draws: 4 % on the diagonal, 2.6 % beside it; three times that.
    assert np.allclose(whitener @ np.cov(np.transpose(errors)) @ whitener.T, np.eye(6), atol=0.13)


def _with_noise(detection: Detection, rng: np.random.Generator) -> Detection:
    roots = np.linalg.cholesky(detection.own_covariance)
    noise = np.einsum("nij,nj->ni", roots, rng.normal(size=(len(roots), 3)))
    noise += np.einsum("m,mni->ni", rng.normal(size=2), detection.common_errors)
    return dataclasses.replace(detection, keypoints_camera=detection.keypoints_camera + noise)


def test_other_keypoints_or_units_are_refused(reference):
    fewer = dataclasses.replace(reference, keypoints_camera=reference.keypoints_camera[:5])
    with pytest.raises(ValueError, match="got 6 and 5 keypoints.*Take a new reference"):
        RelativePose(reference).update(fewer)
    with pytest.raises(ValueError, match="metric True and False"):
        RelativePose(reference).update(dataclasses.replace(reference, metric=False))
