"""Every loss against hand-computed cases, and finite gradients where formulas degenerate."""

import math

import pytest
import torch

from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import exp_rotation, invert_transform, make_transform
from kp3d_core.losses.keypoint_shape import separation_loss, silhouette_loss, variance_loss
from kp3d_core.losses.multiview import (
    anchor_loss,
    multiview_consistency_loss,
    object_consistency_loss,
    relative_pose_loss,
)
from kp3d_core.losses.orientation import (
    annealed_flag,
    flag_logit,
    flag_loss,
    orientation_heatmap_loss,
    orientation_loss,
    settled_pose,
    true_flag,
)

F64 = torch.float64
FOCAL = 1 / math.tan(math.radians(2.5))
K = torch.diag(torch.tensor([FOCAL, FOCAL, 1.0], dtype=F64))


def pose(yaw_deg, distance=30.0):
    """Camera at a distance; the yaw is the golden case's Ry, whose y axis points up, not down."""
    R = exp_rotation(torch.tensor([0.0, -math.radians(yaw_deg), 0.0], dtype=F64))
    return make_transform(R, torch.tensor([0.0, 0.0, distance], dtype=F64))


def views_of(points):
    T_0, T_1 = pose(0), pose(90)
    X_0, X_1 = (points @ T[:3, :3].T + T[:3, 3] for T in (T_0, T_1))
    T_1_0 = T_1 @ invert_transform(T_0)
    return X_0, X_1, T_1_0


def consistency(offset_0, offset_1, points, reduction):
    X_0, X_1, T_1_0 = views_of(points)
    return multiview_consistency_loss(
        project(X_0, K) + offset_0,
        project(X_1, K) + offset_1,
        X_0,
        X_1,
        T_1_0,
        invert_transform(T_1_0),
        K,
        K,
        reduction,
    ).item()


@pytest.mark.parametrize(("reduction", "expected"), [("paper", 0.025), ("released", 0.05)])
def test_consistency_of_one_keypoint(reduction, expected):
    point = torch.tensor([[0.5, 0.25, 0.0]], dtype=F64)
    offsets = torch.tensor([[0.1, 0.0]], dtype=F64), torch.tensor([[0.0, 0.2]], dtype=F64)
    assert consistency(*offsets, point, reduction) == pytest.approx(expected, abs=1e-9)
    two = torch.tensor([[0.5, 0.25, 0.0], [0.1, -0.3, 0.2]], dtype=F64)
    offsets = tuple(torch.cat([o, torch.zeros(1, 2, dtype=F64)]) for o in offsets)
    assert consistency(*offsets, two, reduction) == pytest.approx(expected / 2, abs=1e-9)


def test_perfect_keypoints_are_consistent():
    points = torch.tensor([[0.5, 0.25, 0.0], [0.1, -0.3, 0.2]], dtype=F64)
    assert consistency(0, 0, points, "released") < 1e-20


def test_reprojection_golden_case():
    X_0, X_1, T_1_0 = views_of(torch.tensor([[0.5, 0.25, 0.0]], dtype=F64))
    uv = project(X_0, K)[0]
    assert uv.tolist() == pytest.approx([0.38172943, 0.19086471], abs=1e-8)
    assert project(X_1, K)[0].tolist() == pytest.approx([0, 0.18773578], abs=1e-8)
    assert X_1[0, 2].item() == pytest.approx(30.5)
    carried = X_0 @ T_1_0[:3, :3].T + T_1_0[:3, 3]
    assert torch.allclose(carried, X_1, atol=1e-9)


@pytest.mark.parametrize("angle_deg", [0, 1, 30, 60, 90, 120, 180])
def test_pose_loss_is_the_angle(angle_deg):
    torch.manual_seed(angle_deg)
    X = torch.randn(4, 10, 3, dtype=F64)
    axis = torch.nn.functional.normalize(torch.randn(3, dtype=F64), dim=0)
    R = exp_rotation(axis * math.radians(angle_deg))
    loss = relative_pose_loss(X, X, R.expand(4, 3, 3)).item()
    # 2e-6 rad is the price of a finite gradient at 0 and 180 degrees
    assert loss == pytest.approx(math.radians(angle_deg), abs=3e-6)


@pytest.mark.parametrize(
    "points",
    [
        torch.zeros(10, 3),
        torch.ones(10, 3),
        torch.linspace(-1, 1, 10)[:, None] * torch.tensor([1.0, 2.0, 3.0]),
        torch.eye(3).repeat(3, 1),
    ],
    ids=["at the origin", "identical", "collinear", "equal singular values"],
)
@pytest.mark.parametrize("angle_deg", [0, 180])
def test_gradients_are_finite_where_geometry_degenerates(points, angle_deg):
    R = exp_rotation(torch.tensor([0.0, 0.0, math.radians(angle_deg)]))
    X_0, X_1 = points.clone().requires_grad_(), points.clone().requires_grad_()
    loss = relative_pose_loss(X_0, X_1, R) + separation_loss(X_0)
    loss.backward()
    assert loss.isfinite()
    assert X_0.grad.isfinite().all()
    assert X_1.grad.isfinite().all()


def test_separation_golden_cases():
    X = torch.tensor([[[0.0, 0, 30], [0.1, 0, 30]]], dtype=F64)
    assert separation_loss(X, 0.05, "paper").item() == pytest.approx(0.02)
    assert separation_loss(X, 0.05**2, "paper").item() == 0
    # 0.045 a view: 0.02 and half of the threshold for the diagonal; two views summed
    assert separation_loss(X, 0.05, "released").item() == pytest.approx(2 * 0.045)
    far = torch.eye(3, dtype=F64)[None] * 5
    assert separation_loss(far, 0.05, "released").item() == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("inside", "expected"),
    [(1.0, 0), (0.75, 0.28768207), (0.5, 0.69314718), (0.25, 1.38629436), (0.0, 27.63102112)],
)
def test_silhouette_golden_cases(inside, expected):
    heatmap = torch.full((1, 2, 8, 8), 1 / 64, dtype=F64)
    mask = torch.zeros(1, 8, 8, dtype=F64)
    mask.view(-1)[: int(64 * inside)] = 1
    assert silhouette_loss(heatmap, mask, "paper").item() == pytest.approx(expected, abs=1e-7)
    released = silhouette_loss(heatmap, mask, "released").item()
    assert released == pytest.approx(2 * expected, abs=1e-7)


def test_variance_is_the_trace():
    covariance = torch.tensor([[[0.25, 0.1], [0.1, 0.5]]], dtype=F64)
    assert variance_loss(covariance, "paper").item() == pytest.approx(0.75)
    assert variance_loss(covariance, "released").item() == pytest.approx(1.5)


def test_orientation_golden_case():
    tips = torch.tensor([[1.0, 0, 0], [-1, 0, 0]], dtype=F64) + torch.tensor([0, 0, 30.0])
    target = project(tips, K)
    assert target[:, 0].tolist() == pytest.approx([0.76345885, -0.76345885], abs=1e-8)
    loss = orientation_loss(torch.zeros_like(target), target, "paper").item()
    assert loss == pytest.approx(0.29143471, abs=1e-8)
    assert orientation_loss(torch.zeros_like(target), target).item() == pytest.approx(2 * loss)


def test_flags():
    T = torch.eye(4)[None].repeat(3, 1, 1)
    T[1, 0, 0] = -1
    T[2, 0, 0] = 0
    assert true_flag(T).tolist() == [1, 0, 0]
    uv = torch.tensor([[[0.2, 0.0], [-0.2, 0.0]], [[-0.2, 0.0], [0.2, 0.0]]])
    assert (flag_logit(uv) > 0).tolist() == [True, False]
    assert flag_loss(uv, torch.tensor([1.0, 0.0])) < flag_loss(uv, torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize(
    ("step", "expected"),
    [(30_000, (1, 0)), (44_999, (1, 0)), (45_000, (0, 0)), (45_001, (0, 1)), (60_000, (0, 1))],
)
def test_annealing_is_a_switch_half_way(step, expected):
    true, predicted = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert tuple(annealed_flag(true, predicted, step).tolist()) == expected


def test_orientation_heatmap_is_lowest_at_its_target():
    target = torch.tensor([[[0.3, -0.4]]])
    logits = torch.zeros(1, 1, 8, 8, requires_grad=True)
    loss = orientation_heatmap_loss(logits, target)
    assert loss.item() == pytest.approx(math.log(64), abs=1e-5)
    loss.backward()
    steepest = (-logits.grad[0, 0]).flatten().argmax().item()
    # nearest cell: u = 0.3 lies in column 5 (0.375), v = -0.4 in row 2 (-0.375)
    assert divmod(steepest, 8) == (2, 5)


def test_object_consistency_and_anchors():
    X = torch.tensor([[[0.1, 0, 0]], [[-0.1, 0, 0]]])[None]  # one keypoint in two views
    assert object_consistency_loss(X).item() == pytest.approx(0.01)
    assert anchor_loss(X, torch.zeros(1, 3)).item() == pytest.approx(0.01)


def test_without_a_front_there_is_no_flag_to_tell():
    T = torch.stack([pose(0), pose(180)])
    assert true_flag(T).tolist() == [1.0, 0.0]
    for symmetry in ("two-fold", "full"):
        assert true_flag(T, symmetry).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("yaw_deg", "is_open"), [(0, False), (70, False), (85, True), (-85, True)])
def test_of_two_answers_seen_end_on_the_seen_one_counts(yaw_deg, is_open):
    T, turn = pose(yaw_deg), torch.diag(torch.tensor([-1.0, -1, 1, 1], dtype=F64))
    ends = torch.tensor([[1.0, 0, 0], [-1.0, 0, 0]], dtype=F64)
    seen = [project(ends @ P[:3, :3].T + P[:3, 3], K) for P in (T, T @ turn)]
    for symmetry in ("none", "full"):
        assert settled_pose(T, seen[1], K, symmetry) is T
    assert torch.equal(settled_pose(T, seen[0], K, "two-fold"), T)
    expected = T @ turn if is_open else T
    assert settled_pose(T, seen[1], K, "two-fold") == pytest.approx(expected)
