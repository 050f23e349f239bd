"""The losses of a batch, weighed: between views in the first stage, against places in the second.

`pair_objective` is what finds keypoints: V views of each object must agree. `place_objective` goes
on from there: what the exported graph reads in single views must lie where the network sees its
keypoints on average on the same object. Orientation and size are judged alike in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.geometry.rotation import invert_transform, transform_points
from kp3d_core.geometry.symmetry import has_front
from kp3d_core.losses.keypoint_shape import separation_loss, silhouette_loss, variance_loss
from kp3d_core.losses.landmarks import landmark_loss
from kp3d_core.losses.multiview import (
    anchor_loss,
    multiview_consistency_loss,
    object_consistency_loss,
    relative_pose_loss,
)
from kp3d_core.losses.orientation import (
    flag_loss,
    orientation_heatmap_loss,
    orientation_loss,
    true_flag,
)
from kp3d_core.losses.places import place_errors
from kp3d_core.losses.reduction import Reduction
from kp3d_core.models.graph import DetectorGraph, Look
from kp3d_core.models.refiner import Reading

MAX_ANGLE = 0.6
"""Larger errors of a rotation than this [rad] are beyond small corrections."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the losses and their settings; the defaults are the authors' (`released`)."""

    consistency: float = 1.0
    pose: float = 0.2
    separation: float = 1.0
    silhouette: float = 1.0
    variance: float = 0.5
    orientation: float = 1.0
    orientation_heatmap: float = 0.0
    """Cross-entropy of orientation heatmaps; ours."""
    flag: float = 0.0
    """Cross-entropy of the orientation flag; ours."""
    scale: float = 0.0
    """Squared error of the logarithm of the apparent size; ours."""
    object_consistency: float = 0.0
    """Variance of keypoints over views in the object frame; ours."""
    anchor: float = 0.0
    """Distance from fixed anchors in the object frame, a warm-up; ours."""
    landmark: float = 0.0
    """Error against named landmarks, one for each keypoint: the paper's supervised baseline."""
    pose_noise: float = 0.1
    """Standard deviation of the noise on keypoints before Procrustes [model units]."""
    separation_threshold: float = 0.05
    """Squared distance under which keypoints repel [model units squared]."""
    reduction: Reduction = "released"


@dataclass(frozen=True)
class PlaceWeights:
    """Weights of the losses of `place_objective`."""

    pose: float = 1.0
    """Angle between the true rotation and the one read [rad]."""
    distance: float = 0.5
    """RMS distance of keypoints from their places [model units]."""
    scale: float = 10.0
    """Squared error of the logarithm of the apparent size."""
    unrefined: float = 0.5
    """The three above before the refiner, relative to those behind it."""
    orientation: float = 1.0
    """Squared error of the projected object points [NDC squared]."""
    orientation_heatmap: float = 0.1
    """Cross-entropy of orientation heatmaps."""
    flag: float = 0.5
    """Cross-entropy of the orientation flag."""
    variance: float = 0.1
    """Variance of the keypoints' heatmaps [NDC squared]."""


class ViewBatch(NamedTuple):
    """Known facts about B objects seen in V views each."""

    K_ndc: Float[Tensor, "B V 3 3"]
    """Intrinsics that project to NDC."""
    T_camera_object: Float[Tensor, "B V 4 4"]
    mask: Float[Tensor, "B V H W"]
    """Silhouette at the resolution of the heatmaps, 0 or 1."""
    log_scale: Float[Tensor, "B V"]
    """Logarithm of the apparent size relative to the training camera."""
    symmetry: str = "none"
    """Of the objects; poses are `geometry.symmetry.canonical_pose`."""
    landmarks: Float[Tensor, "B L 3"] | None = None
    """Named points in the object frame; needed where `LossWeights.landmark` is not zero."""


class PlacedViews(NamedTuple):
    """Known facts about M views whose object's keypoints have known places."""

    K_ndc: Float[Tensor, "M 3 3"]
    T_camera_object: Float[Tensor, "M 4 4"]
    log_scale: Float[Tensor, " M"]
    places: Float[Tensor, "M N 3"]
    """In the object frame [model units]."""
    is_known: Float[Tensor, " M"]
    """1 where the places are to be believed, else 0."""


class ViewPrediction(NamedTuple):
    """What the network says about the same views."""

    uv: Float[Tensor, "B V N 2"]
    keypoints_camera: Float[Tensor, "B V N 3"]
    uv_covariance: Float[Tensor, "B V N 2 2"]
    heatmap: Float[Tensor, "B V N H W"]
    orientation_logits: Float[Tensor, "B V P h w"]
    orientation_uv: Float[Tensor, "B V P 2"]
    log_scale: Float[Tensor, "B V"]


def pair_views(values: Tensor, num_views: int) -> tuple[Tensor, Tensor]:
    """First and second member of every pair of views: two tensors of shape (B, pairs, ...)."""
    first, second = _pair_indices(num_views, values.device)
    return values[:, first], values[:, second]


@cache
def _pair_indices(num_views: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Made once: to send an index to a GPU is to wait for it."""
    with torch.inference_mode(False):  # validation may ask first, training has to save them
        pairs = torch.tensor(list(combinations(range(num_views), 2)), device=device)
    return pairs[:, 0], pairs[:, 1]


def pair_objective(
    prediction: ViewPrediction,
    batch: ViewBatch,
    weights: LossWeights,
    orientation_target_uv: Float[Tensor, "B V P 2"],
    anchors: Float[Tensor, "N 3"],
    unit_noise: Float[Tensor, "B pairs 2 N 3"],
) -> dict[str, Float[Tensor, ""]]:
    """Every loss, unweighted, and their weighted sum under the key `total`.

    With V = 2 and default weights this is the authors' objective for a pair; with more views the
    losses between views are means over all pairs.

    Args:
        prediction: of the network.
        batch: what is known.
        weights: of the losses.
        orientation_target_uv: true projections of the orientation points [NDC].
        anchors: of the warm-up [model units].
        unit_noise: standard normal, for both views of every pair; scaled by `weights.pose_noise`.
    """
    num_views = batch.T_camera_object.shape[1]
    X_0, X_1 = pair_views(prediction.keypoints_camera, num_views)
    uv_0, uv_1 = pair_views(prediction.uv, num_views)
    T_0, T_1 = pair_views(batch.T_camera_object, num_views)
    K_0, K_1 = pair_views(batch.K_ndc, num_views)
    T_1_0 = T_1 @ invert_transform(T_0)
    X_object = transform_points(
        invert_transform(batch.T_camera_object), prediction.keypoints_camera
    )
    noise_0, noise_1 = (weights.pose_noise * unit_noise).to(X_0.dtype).unbind(2)
    reduction = weights.reduction
    parts = {
        "consistency": multiview_consistency_loss(
            uv_0, uv_1, X_0, X_1, T_1_0, invert_transform(T_1_0), K_0, K_1, reduction
        ),
        "pose": relative_pose_loss(X_0 + noise_0, X_1 + noise_1, T_1_0[..., :3, :3]),
        "separation": separation_loss(
            prediction.keypoints_camera, weights.separation_threshold, reduction
        ),
        "silhouette": silhouette_loss(prediction.heatmap, batch.mask, reduction),
        "variance": variance_loss(prediction.uv_covariance, reduction),
        **_orientation_parts(
            prediction.orientation_uv,
            prediction.orientation_logits,
            orientation_target_uv,
            None if batch.symmetry == "full" else true_flag(batch.T_camera_object),
            reduction,
        ),
        "scale": (prediction.log_scale - batch.log_scale).square().mean(),
        "object_consistency": object_consistency_loss(X_object),
        "anchor": anchor_loss(X_object, anchors),
    }
    if weights.landmark > 0:
        assert batch.landmarks is not None
        parts["landmark"] = landmark_loss(
            prediction.uv,
            prediction.keypoints_camera,
            transform_points(batch.T_camera_object, batch.landmarks[:, None]),
            batch.K_ndc,
        )
    return _with_total(parts, weights)


def place_objective(
    graph: DetectorGraph,
    look: Look,
    refined: Reading,
    views: PlacedViews,
    weights: PlaceWeights,
    orientation_target_uv: Float[Tensor, "R P 2"],
) -> dict[str, Float[Tensor, ""]]:
    """Every loss of what the graph reads in views, unweighted, and their weighted sum `total`.

    Args:
        graph: that is exported.
        look: its look at the images and their mirror images, told the true orientation.
        refined: what its refiner makes of that.
        views: what is known.
        weights: of the losses.
        orientation_target_uv: true projections of the orientation points in both [NDC].
    """
    flag = true_flag(views.T_camera_object)
    mirrored = 1 - flag if has_front(graph.symmetry) else flag
    parts = _orientation_parts(
        look.reading.orientation_uv,
        look.orientation_logits,
        orientation_target_uv,
        None if graph.symmetry == "full" else torch.cat([flag, mirrored]),
        "paper",
    )
    covariance = look.reading.covariance
    parts["variance"] = covariance[..., 0, 0].mean() + covariance[..., 1, 1].mean()
    before = refiner_losses(graph.merge(look.reading), views)
    after = refiner_losses(graph.merge(refined), views)
    parts |= {name: after[name] + weights.unrefined * before[name] for name in after}
    return _with_total(parts, weights)


def refiner_losses(reading: Reading, views: PlacedViews) -> dict[str, Float[Tensor, ""]]:
    """Losses of keypoints and size, as read in images: what a refiner mends."""
    errors = place_errors(
        reading, views.places, views.K_ndc, views.T_camera_object, views.log_scale
    )
    known = views.is_known / views.is_known.sum().clamp_min(1)
    return {
        "pose": (known * errors.angle.clamp_max(MAX_ANGLE)).sum(),
        "distance": (known * errors.distance).sum(),
        "scale": errors.log_scale.square().mean(),
    }


def _orientation_parts(
    uv: Tensor, logits: Tensor, target_uv: Tensor, flag: Tensor | None, reduction: Reduction
) -> dict[str, Tensor]:
    """Losses of the orientation stage; that of the flag is 0 where there is none to tell."""
    return {
        "orientation": orientation_loss(uv, target_uv, reduction),
        "orientation_heatmap": orientation_heatmap_loss(logits, target_uv),
        "flag": uv.new_zeros(()) if flag is None else flag_loss(uv, flag),
    }


def _with_total(parts: dict[str, Tensor], weights: LossWeights | PlaceWeights) -> dict[str, Tensor]:
    weighted = [getattr(weights, name) * value for name, value in parts.items()]
    return parts | {"total": torch.stack(weighted).sum()}
