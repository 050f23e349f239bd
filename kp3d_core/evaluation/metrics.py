"""Figures of merit of the paper and ours, from saved predictions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.predictions import Predictions
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.procrustes import weighted_procrustes
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.geometry.symmetry import rotation_error

FloatArray = NDArray[np.float64]

FLIPPED_DEG = 90.0
"""A larger error is taken for a wrong orientation (paper, section 4.1)."""


@dataclass(frozen=True)
class PairErrors:
    """Errors of P pairs of views of the same object."""

    rotation_deg: FloatArray
    """Angle between the true relative rotation and its Procrustes estimate, (P,)."""
    consistency_px: FloatArray
    """Root mean square distance in view 1 of the keypoints carried over from view 0, (P,)."""
    instance: NDArray[np.int64]
    """Object of each pair, (P,)."""
    views: NDArray[np.int64]
    """The two views of each pair, (P, 2)."""


def draw_pairs(num_views: int, num_pairs: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`num_pairs` pairs of different views, shape (num_pairs, 2); no view twice while they last.

    With twice as many views as pairs each view is used once, as in the paper.
    """
    rounds = []
    total = 0
    while total < num_pairs:
        order = rng.permutation(num_views)
        pairs = order[: num_views // 2 * 2].reshape(-1, 2)
        rounds.append(pairs)
        total += len(pairs)
    return np.concatenate(rounds)[:num_pairs]


def pair_errors(
    predictions: Predictions, views: ViewSet, pairs_per_instance: int, seed: int = 0
) -> PairErrors:
    """Errors of `pairs_per_instance` random pairs of each object, without noise."""
    rng = np.random.default_rng(seed)
    num_instances, num_views = predictions.scale.shape
    pairs = np.concatenate(
        [draw_pairs(num_views, pairs_per_instance, rng) for _ in range(num_instances)]
    )
    instance = np.repeat(np.arange(num_instances), pairs_per_instance)
    first, second = (instance, pairs[:, 0]), (instance, pairs[:, 1])
    X_0, X_1 = predictions.keypoints_camera[first], predictions.keypoints_camera[second]
    T = views.T_camera_object.astype(np.float64)
    X_object = predictions.keypoints_object[first]
    carried = project(transform_points(T[second], X_object), views.K[second].astype(np.float64))
    residual = carried - predictions.keypoints_uv[second]
    return PairErrors(
        relative_rotation_deg(X_0, X_1, T[first], T[second], views.symmetry),
        np.sqrt(np.mean(np.sum(residual**2, axis=-1), axis=-1)),
        instance,
        pairs,
    )


def relative_rotation_deg(
    X_0: FloatArray, X_1: FloatArray, T_0: FloatArray, T_1: FloatArray, symmetry: str = "none"
) -> FloatArray:
    """Angle between the true rotation from view 0 to 1 and that of the keypoints, (P,) [deg].

    Args:
        X_0: keypoints in the camera frame of the first view of each pair, (P, N, 3).
        X_1: the same of the second view.
        T_0: `T_camera_object` of the first view, (P, 4, 4).
        T_1: of the second view.
        symmetry: of the objects; a turn that cannot be seen is no error.
    """
    R_est, _ = weighted_procrustes(X_0, X_1)
    return np.degrees(rotation_error(R_est @ T_0[:, :3, :3], T_1[:, :3, :3], symmetry))


@dataclass(frozen=True)
class RotationSummary:
    """Distribution of rotation errors."""

    mean: float
    median: float
    within_5: float
    """Share of pairs under 5 degrees; likewise 10 and 30."""
    within_10: float
    within_30: float
    flipped: float
    """Share of pairs over 90 degrees."""


def summarize_rotation(rotation_deg: FloatArray) -> RotationSummary:
    """Statistics of rotation errors in degrees."""
    return RotationSummary(
        mean=float(rotation_deg.mean()),
        median=float(np.median(rotation_deg)),
        within_5=float((rotation_deg < 5).mean()),
        within_10=float((rotation_deg < 10).mean()),
        within_30=float((rotation_deg < 30).mean()),
        flipped=float((rotation_deg > FLIPPED_DEG).mean()),
    )


def absolute_rotation_deg(
    predictions: Predictions,
    canonical: FloatArray,
    T_camera_object: NDArray[np.float32],
    symmetry: str = "none",
) -> FloatArray:
    """Error of the orientation found by fitting the canonical keypoints, (I, V) [deg].

    A turn that the symmetry of the objects hides is no error.
    """
    R_est, _ = weighted_procrustes(canonical, predictions.keypoints_camera)
    R_gt = T_camera_object[..., :3, :3].astype(np.float64)
    return np.degrees(rotation_error(R_est, R_gt, symmetry))


def keypoint_spread(keypoints_object: FloatArray, used: NDArray[np.bool_]) -> float:
    """3D-SE: how far a keypoint strays from its own mean place on the same object.

    Root mean square over keypoints, objects and the used views of the distance between a
    prediction in the object frame and the mean of that object's used predictions [model units].
    The paper calls its figure a standard error without defining it; its size fits this one.

    Args:
        keypoints_object: (I, V, N, 3).
        used: (I, V) views without a wrong orientation.
    """
    weight = used[..., None, None].astype(np.float64)
    count = np.maximum(weight.sum(1, keepdims=True), 1)
    mean = (weight * keypoints_object).sum(1, keepdims=True) / count
    squared = (weight * (keypoints_object - mean) ** 2).sum(-1)
    return float(np.sqrt(squared.sum() / (weight.sum() * keypoints_object.shape[2])))


def unflipped_views(errors: PairErrors, num_instances: int, num_views: int) -> NDArray[np.bool_]:
    """Views in a pair whose rotation error is at most 90 degrees, (I, V).

    The paper's way to leave wrong orientations out of 3D-SE. It needs no flag, so it also serves
    what predicts none; it leaves out a right view with a wrong partner, and misses a pair in which
    both are wrong.
    """
    used = np.zeros((num_instances, num_views), dtype=np.bool_)
    fine = errors.rotation_deg <= FLIPPED_DEG
    used[errors.instance[fine, None], errors.views[fine]] = True
    return used


def share_inside(predictions: Predictions, views: ViewSet) -> float:
    """Share of keypoints on a pixel that the object covers at least half; outside the image is no.

    At the size of the network's input, over all views.
    """
    pixel = np.round(predictions.keypoints_uv).astype(np.int64)
    within = ((pixel >= 0) & (pixel < views.size)).all(-1)
    pixel = pixel.clip(0, views.size - 1)
    instance, view = np.ogrid[: pixel.shape[0], : pixel.shape[1]]
    coverage = views.rgba[instance[..., None], view[..., None], pixel[..., 1], pixel[..., 0], 3]
    return float((within & (coverage >= 128)).mean())


def mean_keypoints(keypoints_object: FloatArray, used: NDArray[np.bool_]) -> FloatArray:
    """Mean over used views, then over objects that have any, (N, 3) [model units]."""
    return instance_keypoints(keypoints_object, used).mean(0)


def instance_keypoints(keypoints_object: FloatArray, used: NDArray[np.bool_]) -> FloatArray:
    """Mean over the used views of each object that has any, (I', N, 3) [model units]."""
    some = used.any(1)
    weight = used[some][..., None, None].astype(np.float64)
    return (weight * keypoints_object[some]).sum(1) / weight.sum(1)


def summarize(
    predictions: Predictions,
    views: ViewSet,
    errors: PairErrors,
    canonical: FloatArray,
) -> dict[str, Any]:
    """All figures of `metrics.json`."""
    used = predictions.flag_correct
    means = mean_keypoints(predictions.keypoints_object, used)
    right = used[errors.instance, errors.views[:, 0]] & used[errors.instance, errors.views[:, 1]]
    absolute = absolute_rotation_deg(predictions, canonical, views.T_camera_object, views.symmetry)
    scale_error = np.abs(np.log(predictions.scale / predictions.scale_true))
    return {
        "rotation_deg": asdict(summarize_rotation(errors.rotation_deg)),
        "rotation_deg_flags_right": asdict(summarize_rotation(errors.rotation_deg[right])),
        "absolute_rotation_deg": asdict(summarize_rotation(absolute.ravel())),
        "flag_accuracy": float(used.mean()),
        "spread_3d": keypoint_spread(predictions.keypoints_object, used),
        "extent": {axis: float(s) for axis, s in zip("xyz", means.std(0), strict=True)},
        "consistency_px": float(np.median(errors.consistency_px)),
        "scale_error_percent": float(100 * np.median(scale_error)),
        "symmetry": views.symmetry,
        "pairs": len(errors.rotation_deg),
        "instances": len(views.rgba),
        "views_per_instance": int(views.rgba.shape[1]),
    }
