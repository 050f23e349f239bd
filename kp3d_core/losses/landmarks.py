"""The loss of the supervised baseline: keypoints are told where named landmarks are."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from kp3d_core.geometry.camera import project


def landmark_loss(
    uv: Float[Tensor, "*batch N 2"],
    keypoints_camera: Float[Tensor, "*batch N 3"],
    landmarks_camera: Float[Tensor, "*batch N 3"],
    K_ndc: Float[Tensor, "*batch 3 3"],
) -> Float[Tensor, ""]:
    """Squared error of image position [NDC] plus that of depth [model units], mean over keypoints.

    Both count alike: in the paper's camera one NDC unit is 1.3 model units at the object.

    Args:
        uv: predicted positions [NDC].
        keypoints_camera: the same keypoints in the camera frame, for their depth.
        landmarks_camera: the landmarks that they stand for, in the camera frame.
        K_ndc: intrinsics that project to NDC.

    Reference: Suwajanakorn et al. 2018, section 4.1.
    """
    in_image = (uv - project(landmarks_camera, K_ndc)).square().sum(-1)
    in_depth = (keypoints_camera[..., 2] - landmarks_camera[..., 2]).square()
    return (in_image + in_depth).mean()
