"""Schedules, anchors and the collapse guard."""

import numpy as np
import pytest
import torch

from kp3d_core.losses.objective import LossWeights
from kp3d_core.training.anchors import ellipsoid_anchors
from kp3d_core.training.monitor import CollapseGuard
from kp3d_core.training.schedule import Schedule


def test_learning_rate_rises_holds_and_falls():
    schedule = Schedule(warmup_steps=10, decay_from=0.5, final_learning_rate=0.1)
    assert schedule.learning_rate_factor(0, 0.0) == pytest.approx(0.1)
    assert schedule.learning_rate_factor(10, 0.01) == 1
    assert schedule.learning_rate_factor(500, 0.5) == 1
    assert schedule.learning_rate_factor(750, 0.75) == pytest.approx(0.55)
    assert schedule.learning_rate_factor(1000, 1.0) == pytest.approx(0.1)


def test_weights_move_from_start_to_end():
    schedule = Schedule(ramp_until=0.5, initial_pose=2.0, initial_pose_noise=0.01, anchor_until=0.4)
    weights = LossWeights(pose=0.2, pose_noise=0.1, anchor=3.0, object_consistency=1.0)
    start, half, end = (schedule.weights_at(p, weights) for p in (0.0, 0.25, 1.0))
    assert (start.pose, start.pose_noise, start.anchor) == (2.0, 0.01, 3.0)
    assert start.object_consistency == 0
    assert half.pose == pytest.approx(1.1)
    assert (end.pose, end.pose_noise, end.anchor) == pytest.approx((0.2, 0.1, 0))
    assert end.object_consistency == 1


def test_defaults_are_the_authors_constant_weights():
    weights = LossWeights()
    assert Schedule().weights_at(0.3, weights) == weights
    assert (weights.pose, weights.consistency, weights.variance) == (0.2, 1.0, 0.5)


def test_anchors_lie_on_the_ellipsoid_on_both_sides():
    anchors = ellipsoid_anchors(10, (0.8, 0.35, 0.3))
    radius = np.linalg.norm(anchors / np.array([0.8, 0.35, 0.3]), axis=1)
    np.testing.assert_allclose(radius, 1, rtol=1e-6)
    assert (anchors[:, 1] > 0.01).sum() == 5
    assert (anchors[:, 1] < -0.01).sum() == 5


def step(guard, number, rotation_deg, extent_x):
    guard.observe(number, torch.tensor(rotation_deg), torch.tensor(extent_x))


@pytest.mark.parametrize(("rotation_deg", "extent_x"), [(90.0, 0.4), (10.0, 0.03)])
def test_guard_stops_a_collapsed_run(rotation_deg, extent_x):
    guard = CollapseGuard(after_steps=5)
    for number in range(5):
        step(guard, number, rotation_deg, extent_x)
    with pytest.raises(RuntimeError, match="collapsed at step 5.*initial_pose"):
        step(guard, 5, rotation_deg, extent_x)


def test_guard_lets_a_healthy_run_pass_and_survives_a_resume():
    guard = CollapseGuard(after_steps=2)
    for number in range(10):
        step(guard, number, 10.0, 0.4)
    other = CollapseGuard()
    other.load_state_dict(guard.state_dict())
    assert other.rotation_deg == guard.rotation_deg
