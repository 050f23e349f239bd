"""Losses between views of one object: consistency of keypoints and the relative pose they give."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.geometry.camera import project
from kp3d_core.geometry.procrustes import weighted_procrustes
from kp3d_core.geometry.rotation import rotation_angle, transform_points
from kp3d_core.losses.reduction import Reduction, reduce_views


def multiview_consistency_loss(
    uv_0: Float[Tensor, "*batch N 2"],
    uv_1: Float[Tensor, "*batch N 2"],
    keypoints_0: Float[Tensor, "*batch N 3"],
    keypoints_1: Float[Tensor, "*batch N 3"],
    T_1_0: Float[Tensor, "*batch 4 4"],
    T_0_1: Float[Tensor, "*batch 4 4"],
    K_0: Float[Tensor, "*batch 3 3"],
    K_1: Float[Tensor, "*batch 3 3"],
    reduction: Reduction = "released",
) -> Float[Tensor, ""]:
    """Squared image distance between keypoints and those carried over from the other view (L_con).

    Only (u, v) are compared: depth is judged by where it puts a point in the other view.

    Args:
        uv_0: keypoints of view 0 [NDC].
        uv_1: the same keypoints in view 1 [NDC].
        keypoints_0: the same keypoints, unprojected, in the camera frame of view 0.
        keypoints_1: likewise of view 1.
        T_1_0: takes camera 0 to camera 1, the known relative motion.
        T_0_1: its inverse.
        K_0: intrinsics of view 0 that project to NDC.
        K_1: likewise of view 1.
        reduction: both directions averaged (`paper`, equation 1) or summed (`released`).
    """
    residual_1 = uv_1 - project(transform_points(T_1_0, keypoints_0), K_1)
    residual_0 = uv_0 - project(transform_points(T_0_1, keypoints_1), K_0)
    per_view = torch.stack([residual_0, residual_1]).square().sum(-1).mean(-1)
    return reduce_views(per_view, reduction)


def relative_pose_loss(
    keypoints_0: Float[Tensor, "*batch N 3"],
    keypoints_1: Float[Tensor, "*batch N 3"],
    R_1_0: Float[Tensor, "*batch 3 3"],
) -> Float[Tensor, ""]:
    """Angle between the true relative rotation and the Procrustes estimate [rad] (L_pose).

    The paper adds Gaussian noise to both point sets first; the caller does, so that the same
    function measures the noise-free error.
    """
    R_est, _ = weighted_procrustes(keypoints_0, keypoints_1)
    return rotation_angle(R_est, R_1_0).mean()


def object_consistency_loss(
    keypoints_object: Float[Tensor, "*batch V N 3"],
) -> Float[Tensor, ""]:
    """Variance over the views of each keypoint in the object frame [model units squared].

    Ours, not the paper's: it judges depth directly, where `multiview_consistency_loss` sees it only
    through the other view. Reaches all V views at once.
    """
    centred = keypoints_object - keypoints_object.mean(-3, keepdim=True)
    return centred.square().sum(-1).mean()


def anchor_loss(
    keypoints_object: Float[Tensor, "*batch N 3"], anchors: Float[Tensor, "N 3"]
) -> Float[Tensor, ""]:
    """Squared distance of keypoints from fixed places in the object frame [model units squared].

    Ours: a warm-up only, its weight falls to zero. From random weights the other losses alone tend
    to put all keypoints on the object's vertical axis, which satisfies them for every azimuth.
    """
    return (keypoints_object - anchors).square().sum(-1).mean()
