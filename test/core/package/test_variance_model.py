"""Fits of variances to errors that were drawn from a known law."""

import numpy as np
import pytest

from kp3d_core.package import variance_model
from kp3d_core.package.variance_model import fit_log_variance, fit_variance

VIEWS = 4000


def test_scale_and_floor_are_found():
    rng = np.random.default_rng(0)
    variance = rng.uniform(0.1, 9, VIEWS)
    error = rng.normal(0, np.sqrt(0.3**2 * variance + 0.2**2))
    scale, floor = fit_variance(variance, error)
    assert scale == pytest.approx(0.3, rel=0.05)
    assert floor == pytest.approx(0.2, rel=0.2)


def test_errors_that_variances_do_not_predict():
    rng = np.random.default_rng(1)
    scale, floor = fit_variance(rng.uniform(1, 2, VIEWS), rng.normal(0, 0.5, VIEWS))
    assert scale**2 * 1.5 + floor**2 == pytest.approx(0.25, rel=0.1)


def test_slopes_and_offsets_are_found():
    rng = np.random.default_rng(2)
    traits = rng.normal(size=(VIEWS, 3)) * [0.02, 0.3, 1.0]
    slopes = np.array([9.0, 0.5, -0.2])
    log_std = traits @ slopes
    groups = [
        (np.exp(2 * (log_std + offset)) * rng.chisquare(dof, VIEWS), dof)
        for offset, dof in ((0.3, 3), (-0.7, 2))
    ]
    offsets, found = fit_log_variance(groups, traits)
    assert offsets == pytest.approx([0.3, -0.7], abs=0.04)
    assert found == pytest.approx(slopes, rel=0.1)
    # The fit's own promise: honest on average in both groups.
    for (values, dof), offset in zip(groups, offsets, strict=True):
        mean = np.mean(values * np.exp(-2 * (offset + traits @ found)))
        assert mean == pytest.approx(dof, rel=1e-6)


def test_few_views_give_small_slopes(monkeypatch):
    rng = np.random.default_rng(3)
    groups, traits = [(rng.chisquare(3, 5), 3)], rng.normal(size=(5, 3))
    _, slopes = fit_log_variance(groups, traits)
    monkeypatch.setattr(variance_model, "_RIDGE", 0.0)
    _, greedy = fit_log_variance(groups, traits)
    assert np.linalg.norm(slopes) < 0.6 * np.linalg.norm(greedy)


def test_a_trait_that_hardly_varies_gets_no_slope():
    rng = np.random.default_rng(0)
    traits = np.stack([rng.normal(size=200), 1e-5 * rng.normal(size=200)], axis=1)
    nees = np.exp(2 * (0.3 * traits[:, 0] + 5e4 * traits[:, 1])) * rng.chisquare(3, 200)
    _, slopes = fit_log_variance([(nees, 3)], traits)
    assert slopes[0] == pytest.approx(0.3, abs=0.1)
    assert abs(slopes[1]) < 100  # 50,000 would fit
