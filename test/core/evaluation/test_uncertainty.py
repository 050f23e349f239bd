"""Normalised errors of samples whose covariance is known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from kp3d_core.evaluation.predictions import Predictions
from kp3d_core.evaluation.uncertainty import (
    is_outlier,
    keypoint_truth,
    nees,
    pose_error,
    summarize_nees,
)
from kp3d_core.geometry.rotation import make_transform

SAMPLES = 20000


@pytest.mark.parametrize("dof", [3, 6])
def test_samples_of_the_reported_covariance_are_honest(dof):
    rng = np.random.default_rng(dof)
    root = rng.normal(size=(SAMPLES, dof, dof))
    errors = np.einsum("nij,nj->ni", root, rng.normal(size=(SAMPLES, dof)))
    summary = summarize_nees(nees(errors, root @ root.transpose(0, 2, 1)), dof)
    # Four standard errors of the mean of a chi-square variable.
    assert summary.mean == pytest.approx(dof, abs=4 * np.sqrt(2 * dof / SAMPLES))
    assert summary.median == pytest.approx(summary.expected_median, rel=0.03)
    assert summary.within_95 == pytest.approx(0.95, abs=0.007)
    assert summary.expected_median == pytest.approx(chi2.median(dof), abs=1e-3)


def test_halved_standard_deviations_quadruple_the_figure():
    errors = np.random.default_rng(0).normal(size=(SAMPLES, 3))
    summary = summarize_nees(nees(errors, np.tile(np.eye(3) / 4, (SAMPLES, 1, 1))), 3)
    assert summary.mean == pytest.approx(12, rel=0.03)
    assert summary.within_95 < 0.6


def test_no_samples_have_no_figures():
    summary = summarize_nees(np.zeros(0), 3)
    assert (summary.samples, summary.mean, summary.within_95) == (0, None, None)


def test_pose_error_is_about_fixed_axes():
    R = Rotation.from_rotvec([0.4, -1.0, 0.3]).as_matrix()
    turn = np.array([0.1, 0.2, -0.05])
    truth = make_transform(R, np.array([0.0, 0, 5]))
    estimate = make_transform(Rotation.from_rotvec(turn).as_matrix() @ R, np.array([0.1, 0, 4.5]))
    assert pose_error(estimate, truth) == pytest.approx([0.1, 0, -0.5, *turn])
    assert not is_outlier(pose_error(estimate, truth))
    assert is_outlier(np.array([0, 0, 0, 0, np.radians(46), 0]))


def test_errors_from_an_objects_own_mean_have_their_full_size():
    """Eight views scatter by 0.1 around the place; the last one is flipped and far away."""
    rng = np.random.default_rng(1)
    objects, views = 400, 9
    X = rng.normal(0, 0.1, (objects, views, 2, 3))
    X[:, -1] = 50
    flag = np.ones((objects, views), dtype=bool)
    flag[:, -1] = False
    zero = np.zeros((objects, views))
    predictions = Predictions(
        keypoints_uv=X[..., :2],
        keypoints_camera=X,
        keypoints_object=X,
        depth_offset=X[..., 2],
        covariance=np.zeros((*X.shape, 3)),
        score=X[..., 0],
        scale=zero,
        scale_true=zero,
        flag=flag,
        flag_true=np.ones_like(flag),
    )
    errors = (X - keypoint_truth(predictions))[flag]
    assert errors.std() == pytest.approx(0.1, rel=0.02)  # uncorrected: 0.0935
