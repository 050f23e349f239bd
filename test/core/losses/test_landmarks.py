"""The supervised loss against hand-computed cases."""

import pytest
import torch

from kp3d_core.geometry.camera import project
from kp3d_core.losses.landmarks import landmark_loss

K = torch.diag(torch.tensor([20.0, 20.0, 1.0], dtype=torch.float64))
LANDMARKS = torch.tensor([[0.5, 0.25, 30.0], [-0.4, 0.0, 29.5]], dtype=torch.float64)


def loss(uv_offset, depth_offset):
    keypoints = LANDMARKS + torch.tensor([0.0, 0.0, depth_offset], dtype=torch.float64)
    uv = project(LANDMARKS, K) + torch.tensor(uv_offset, dtype=torch.float64)
    return landmark_loss(uv, keypoints, LANDMARKS, K).item()


def test_perfect_keypoints_cost_nothing():
    assert loss([0.0, 0.0], 0.0) == 0


@pytest.mark.parametrize(
    ("uv_offset", "depth_offset", "expected"),
    [([0.1, 0.0], 0.0, 0.01), ([0.1, -0.2], 0.0, 0.05), ([0.0, 0.0], 0.3, 0.09)],
)
def test_squared_distance_in_the_image_and_in_depth(uv_offset, depth_offset, expected):
    assert loss(uv_offset, depth_offset) == pytest.approx(expected, abs=1e-12)


def test_one_wrong_keypoint_counts_by_its_share():
    keypoints = LANDMARKS.clone().requires_grad_()
    uv = project(LANDMARKS, K)
    uv[0, 0] += 0.1
    value = landmark_loss(uv, keypoints, LANDMARKS, K)
    assert value.item() == pytest.approx(0.005, abs=1e-12)
    value.backward()
    assert keypoints.grad.isfinite().all()
