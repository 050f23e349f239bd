"""Figures over trials with known errors."""

import numpy as np
import pytest

from kp3d_core.evaluation.robustness.trials import RecordingEngine, Trial, summarize_trials
from kp3d_core.geometry.rotation import exp_rotation, transform_points

KEYPOINTS = np.random.default_rng(0).uniform(-1, 1, (10, 3))


def trial(azimuth, *, turned_by=0.0, **values):
    """A look at an object from an azimuth whose keypoints are turned wrongly by an angle [rad]."""
    T = np.eye(4)
    T[:3, :3] = exp_rotation(np.array([0.0, azimuth, 0.0]))
    T[:3, 3] = 0, 0, 6
    wrong = np.eye(4)
    wrong[:3, :3] = exp_rotation(np.array([0.0, turned_by, 0.0]))
    defaults = {
        "absolute_deg": 1.0,
        "translation_percent": 2.0,
        "flag_correct": True,
        "accepted": True,
    }
    return Trial(
        keypoints_camera=transform_points(T @ wrong, KEYPOINTS),
        keypoints_uv=np.zeros((10, 2)),
        T_camera_object=T,
        **{**defaults, **values},
    )


def test_perfect_keypoints_have_no_relative_error():
    trials = [[trial(0.3 * k + j) for k in range(4)] for j in range(3)]
    summary = summarize_trials(trials, 0)
    assert summary.relative_mean_deg < 1e-3  # 0 rounds up to 2e-6 rad
    assert summary.views == 12
    assert summary.flag_accuracy == 1


def test_relative_error_is_that_between_the_two_views():
    # One view turned by 10 degrees, the other right: every pair of this object errs by 10.
    trials = [[trial(0.0), trial(1.0, turned_by=np.radians(10))]]
    assert summarize_trials(trials, 0).relative_median_deg == pytest.approx(10, abs=1e-6)


def test_refused_views_count_in_all_figures_but_the_last():
    good = trial(0.0, absolute_deg=2.0)
    bad = trial(1.0, absolute_deg=90.0, translation_percent=40.0, accepted=False,
                flag_correct=False)  # fmt: skip
    summary = summarize_trials([[good, bad], [good, good]], 0)
    assert summary.absolute_mean_deg == pytest.approx((3 * 2 + 90) / 4)
    assert summary.absolute_median_deg_accepted == 2
    assert summary.accepted == 0.75
    assert summary.flag_accuracy == 0.75
    assert summary.translation_median_percent == 2
    nothing = summarize_trials([[bad, bad]], 0)
    assert nothing.absolute_median_deg_accepted is None


def test_recording_engine_keeps_the_last_outputs():
    class Doubling:
        name, device, precision = "doubling", "cpu", "fp32"

        def run(self, images):
            return {"twice": 2.0 * images.astype(np.float32)}

    engine = RecordingEngine(Doubling())
    engine.run(np.ones((1, 2, 2, 3), np.uint8))
    result = engine.run(np.full((1, 2, 2, 3), 3, np.uint8))
    assert engine.name == "doubling"
    assert engine.outputs is result
    assert (engine.outputs["twice"] == 6).all()
