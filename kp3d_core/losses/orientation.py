"""The orientation flag: which way the object faces in the image (paper, section 3.4)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.geometry.symmetry import has_front, turn_about_z
from kp3d_core.losses.reduction import Reduction, reduce_views
from kp3d_core.models.heatmaps import flag_logit, ndc_grid

_ENDS = ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0))
END_ON = 0.2
"""Part of a unit vector that points to the right, under which an axis is seen almost end-on: within
11.5 degrees."""


def true_flag(
    T_camera_object: Float[Tensor, "*batch 4 4"], symmetry: str = "none"
) -> Float[Tensor, "*batch"]:
    """1 where the object's +x axis points to the right in the camera frame, else 0.

    Always 1 of objects without a front: there is nothing to tell.
    """
    if not has_front(symmetry):
        return torch.ones_like(T_camera_object[..., 0, 0])
    return (T_camera_object[..., 0, 0] > 0).to(T_camera_object.dtype)


def settled_pose(
    T_camera_object: Float[Tensor, "*batch 4 4"],
    orientation_uv: Float[Tensor, "*batch P 2"],
    K_ndc: Float[Tensor, "*batch 3 3"],
    symmetry: str,
) -> Float[Tensor, "*batch 4 4"]:
    """Where two poses are equally right and the image hardly tells which, the one that is seen.

    A two-fold object that is seen almost end-on has its x axis just to the right, or just to the
    left; a network that is held to that learns the mean of both, which is neither.

    Args:
        T_camera_object: canonical poses.
        orientation_uv: predicted projections, front and back first [NDC].
        K_ndc: intrinsics that project to NDC.
        symmetry: of the objects.
    """
    if symmetry != "two-fold":
        return T_camera_object
    uv, ends = orientation_uv.detach()[..., :2, :], T_camera_object.new_tensor(_ENDS)
    target = project(transform_points(T_camera_object, ends), K_ndc)
    as_told = (uv - target).square().sum((-2, -1))
    turned = (uv - target.flip(-2)).square().sum((-2, -1))
    is_end_on = T_camera_object[..., 0, 0].abs() < END_ON
    sign = torch.where(is_end_on & (turned < as_told), -1.0, 1.0).to(T_camera_object.dtype)
    return turn_about_z(T_camera_object, sign, torch.zeros_like(sign))


def annealed_flag(
    true: Float[Tensor, "*batch"],
    predicted: Float[Tensor, "*batch"],
    step: int,
    start: int = 30_000,
    end: int = 60_000,
) -> Float[Tensor, "*batch"]:
    """Flag to condition on at a training step: the true one first, the predicted one later.

    round(true * a + predicted * (1 - a)) with a falling linearly from 1 at `start` to 0 at `end`,
    half rounded to even: in effect a switch half-way.
    """
    a = min(max((end - step) / max(end - start, 1), 0.0), 1.0)
    return (true * a + predicted * (1 - a)).round()


def orientation_loss(
    orientation_uv: Float[Tensor, "*batch P 2"],
    target_uv: Float[Tensor, "*batch P 2"],
    reduction: Reduction = "released",
) -> Float[Tensor, ""]:
    """Mean squared error of the projected object points [NDC squared].

    Reduction: views averaged (`paper`) or summed (`released`).
    """
    return reduce_views((orientation_uv - target_uv).square().mean((-2, -1)), reduction)


def orientation_heatmap_loss(
    logits: Float[Tensor, "*batch P H W"], target_uv: Float[Tensor, "*batch P 2"]
) -> Float[Tensor, ""]:
    """Cross-entropy of orientation heatmaps against the cells around the true projections.

    Ours: while front and back cannot be told apart yet, the squared error of `orientation_loss` is
    lowest between the two and its gradient says little. A heatmap can hold both places at once.

    Args:
        logits: before the softmax.
        target_uv: true projections [NDC]; must lie between the centres of the outermost cells.
    """
    height, width = logits.shape[-2:]
    u, v = ndc_grid(logits)
    weight_u = (1 - (u[0] - target_uv[..., :1]).abs() * width / 2).clamp_min(0)
    weight_v = (1 - (v[:, 0] - target_uv[..., 1:]).abs() * height / 2).clamp_min(0)
    target = weight_v[..., :, None] * weight_u[..., None, :]
    log_heatmap = logits.flatten(-2).log_softmax(-1)
    return -(target.flatten(-2) * log_heatmap).sum(-1).mean()


def flag_loss(
    orientation_uv: Float[Tensor, "*batch P 2"], true: Float[Tensor, "*batch"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the flag. Ours: it spends effort where the decision is, not on distance."""
    return F.binary_cross_entropy_with_logits(flag_logit(orientation_uv), true)
