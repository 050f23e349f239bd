"""Objects mirrored left to right, cameras with them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def mirror(
    images: Tensor, K: Float[Tensor, "*batch 3 3"], T_camera_object: Float[Tensor, "*batch 4 4"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Views of the object mirrored left to right (y to -y), seen by the mirrored camera.

    Args:
        images: (..., H, W, C), mirrored along W.
        K: intrinsics [px].
        T_camera_object: becomes S_x T S_y: again a rigid transform.
    """
    width = images.shape[-2]
    flip_camera = torch.diag(T_camera_object.new_tensor([-1.0, 1, 1, 1]))
    flip_object = torch.diag(T_camera_object.new_tensor([1.0, -1, 1, 1]))
    K = K.clone()
    K[..., 0, 2] = width - 1 - K[..., 0, 2]
    K[..., 0, 1] = -K[..., 0, 1]
    return images.flip(-2), K, flip_camera @ T_camera_object @ flip_object
