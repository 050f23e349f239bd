"""One pass of a network over V views of B objects: from images to keypoints in camera frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.geometry.camera import project, unproject
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.losses.objective import ViewPrediction
from kp3d_core.models import KeypointModel
from kp3d_core.models.heatmaps import expected_uv, flag_logit, heatmap_moments


class ForwardResult(NamedTuple):
    """Predictions and the flags behind them."""

    prediction: ViewPrediction
    predicted_flag: Float[Tensor, "B V"]


def forward_views(
    model: KeypointModel,
    images: Float[Tensor, "B V 3 S S"],
    K_ndc: Float[Tensor, "B V 3 3"],
    centre_depth: Float[Tensor, "B V"],
    choose_flag: Callable[[Float[Tensor, "B V"]], Float[Tensor, "B V"]],
    bf16: bool = False,
) -> ForwardResult:
    """Predict keypoints and lift them with the known distance of the object's centre.

    Args:
        model: any keypoint network.
        images: RGB in 0..1.
        K_ndc: intrinsics that project to NDC.
        centre_depth: depth to which predicted depths are relative [model units].
        choose_flag: from the predicted flags to those that the keypoint stage is given.
        bf16: run the network, and only that, under bfloat16 autocast.
    """
    batch_shape = images.shape[:2]
    flat = images.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    autocast = torch.autocast(flat.device.type, torch.bfloat16, enabled=bf16)
    with autocast:
        encoding = model.encode(flat)
    orientation_uv = expected_uv(encoding.orientation_logits.float())
    predicted_flag = (flag_logit(orientation_uv.detach()) > 0).float()
    flag = choose_flag(predicted_flag.unflatten(0, batch_shape)).flatten(0, 1)
    with autocast:
        maps = model.decode(encoding, flag)
    moments = heatmap_moments(maps.heatmap_logits.float(), maps.depth_maps.float())

    def views(values: Tensor) -> Tensor:
        return values.unflatten(0, batch_shape)

    depth = centre_depth[..., None] + views(moments.depth)
    prediction = ViewPrediction(
        uv=views(moments.uv),
        keypoints_camera=unproject(views(moments.uv), depth, K_ndc),
        uv_covariance=views(moments.covariance[..., :2, :2]),
        heatmap=views(moments.heatmap),
        orientation_logits=views(encoding.orientation_logits.float()),
        orientation_uv=views(orientation_uv),
        log_scale=views(encoding.log_scale.float()),
    )
    return ForwardResult(prediction, views(predicted_flag))


def orientation_targets(
    model: KeypointModel,
    T_camera_object: Float[Tensor, "B V 4 4"],
    K_ndc: Float[Tensor, "B V 3 3"],
    mirrored: bool = False,
    symmetry: str = "none",
) -> Float[Tensor, "B V P 2"]:
    """True projections of the object points that the orientation stage predicts [NDC].

    A mirror image shows what lies left of the object on its right, and the other way round. Of a
    two-fold object it is canonical to say so of its front and back instead.
    """
    points = T_camera_object.new_tensor(model.orientation_points)
    if mirrored:
        reflection = [-1.0, 1.0, 1.0] if symmetry == "two-fold" else [1.0, -1.0, 1.0]
        points = points * points.new_tensor(reflection)
    uv = project(transform_points(T_camera_object, points), K_ndc)
    return uv * uv.new_tensor([-1.0, 1.0]) if mirrored else uv
