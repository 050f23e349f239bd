"""Losses on the keypoints of a single view: apart from each other, inside the object, peaked."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from kp3d_core.losses.reduction import Reduction, reduce_views

SEPARATION_THRESHOLD = 0.05
"""Threshold on the squared distance [model units squared]: points closer than 0.2236 repel."""


def separation_loss(
    keypoints_camera: Float[Tensor, "*batch N 3"],
    threshold: float = SEPARATION_THRESHOLD,
    reduction: Reduction = "released",
) -> Float[Tensor, ""]:
    """Penalty for keypoints closer than sqrt(threshold) in 3D (L_sep).

    Args:
        keypoints_camera: points of one view [model units].
        threshold: the paper's delta squared; the authors' `sep_delta` is this squared value.
        reduction: `paper`: pairs j != i over N^2. `released`: pairs with i = j over 2 N, so N = 10
            adds a constant 0.05 over the two views; views summed.
    """
    num_keypoints = keypoints_camera.shape[-2]
    difference = keypoints_camera[..., :, None, :] - keypoints_camera[..., None, :, :]
    hinge = (threshold - difference.square().sum(-1)).clamp_min(0)
    total = hinge.sum((-2, -1))
    if reduction == "paper":
        diagonal = threshold * num_keypoints
        return reduce_views((total - diagonal) / num_keypoints**2, reduction)
    return reduce_views(total / (2 * num_keypoints), reduction)


def silhouette_loss(
    heatmap: Float[Tensor, "*batch N H W"],
    mask: Float[Tensor, "*batch H W"],
    reduction: Reduction = "released",
) -> Float[Tensor, ""]:
    """Negative logarithm of each heatmap's mass inside the object (L_obj).

    Args:
        heatmap: probabilities.
        mask: 1 on the object, 0 elsewhere, at the resolution of the heatmap.
        reduction: views averaged (`paper`) or summed (`released`).
    """
    inside = (heatmap * mask[..., None, :, :]).sum((-2, -1))
    return reduce_views(-(inside + 1e-12).log().mean(-1), reduction)


def variance_loss(
    uv_covariance: Float[Tensor, "*batch N 2 2"], reduction: Reduction = "released"
) -> Float[Tensor, ""]:
    """Spread of each heatmap about its mean [NDC squared] (L_var).

    Args:
        uv_covariance: second central moments of (u, v) under each heatmap.
        reduction: views averaged (`paper`) or summed (`released`).
    """
    trace = uv_covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
    return reduce_views(trace.mean(-1), reduction)
