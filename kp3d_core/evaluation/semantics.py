"""Whether a keypoint means the same place on every object: judged by named landmarks.

Keypoints are discovered, so nobody can say where they ought to be. But one that is semantic sits at
the same place relative to wheels, lights and corners, whatever the proportions of the object: it is
the same affine combination of the landmarks, and its weights can be found on the *other* objects.
What is left is how inconstantly it sits. Two figures put it in proportion: the error of a point
that is frozen in the object frame, which knows nothing of the object's parts, and that of each
landmark as a combination of the others, which is semantic by construction.

How far a keypoint moves at all from object to object, and what share of that follows the landmarks,
tells a keypoint that keeps still from one that moves with the parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.metrics import instance_keypoints
from kp3d_core.evaluation.predictions import Predictions

FloatArray = NDArray[np.float64]

NEAR = 0.1
"""Radius of `within_01` [model units]: 5 % of the object's length."""
_FEWEST = 3
"""Objects that a figure can be made of at all; it takes some dozens for it to mean much."""
_RIDGES = np.logspace(-12, 0, 25)
"""Candidates of the penalty, relative to the total square of the regressors."""


def combination_errors(landmarks: FloatArray, target: FloatArray) -> FloatArray:
    """Distances of points from the affine combination of landmarks that fits all other objects.

    With m the mean of an object's landmarks, target - m = sum_l w_l (landmark_l - m): the weights
    on the landmarks themselves then sum to 1, so that the fit moves and scales with the object.

    Args:
        landmarks: of I objects, (I, L, 3).
        target: points to express in them, (I, N, 3).

    Returns:
        (I, N).
    """
    middle = landmarks.mean(axis=1, keepdims=True)
    rows = (landmarks - middle).transpose(0, 2, 1)  # three equations an object, L unknowns
    return _norms([leave_one_out(rows, point[..., None]) for point in _points(target - middle)])


def linear_errors(landmarks: FloatArray, target: FloatArray) -> FloatArray:
    """Distances of points from the linear function of all landmarks that fits the other objects.

    It has 3 L weights for each coordinate and a constant: whatever landmarks can tell. Shapes as
    in `combination_errors`.
    """
    num = len(landmarks)
    x = landmarks.reshape(num, 1, -1)
    scale = np.sqrt(np.mean((x - x.mean(axis=0)) ** 2)) or 1.0
    # The constant is penalised like a weight, so it is made large beside the others.
    rows = np.concatenate([(x - x.mean(axis=0)) / scale, np.full((num, 1, 1), 30.0)], axis=2)
    return _norms([leave_one_out(rows, point[:, None]) for point in _points(target)])


def leave_one_out(rows: FloatArray, target: FloatArray) -> FloatArray:
    """Residuals of ridge regression in which no object takes part in its own prediction.

    Nothing is refitted: with the block H_ii of the projection that belongs to an object's own
    equations, its residual by the fit to the others is (I - H_ii)^-1 times its residual by the fit
    to all. The penalty is the best of a few.

    Args:
        rows: regressors of E equations for each of I objects, (I, E, P).
        target: (I, E, D).

    Returns:
        (I, E, D).

    Reference: Allen, "The relationship between variable selection and data augmentation", 1974
    (PRESS); its form with blocks is by the same identity.
    """
    num, equations, _ = rows.shape
    U, s, _ = np.linalg.svd(rows.reshape(num * equations, -1), full_matrices=False)
    y = target.reshape(num * equations, -1)
    best, best_cost = target, np.inf
    for ridge in _RIDGES * max(float(np.sum(s**2)), 1e-12):
        shrunk = U * (s**2 / (s**2 + ridge))
        residual = (y - shrunk @ (U.T @ y)).reshape(target.shape)
        own = shrunk.reshape(num, equations, -1) @ U.reshape(num, equations, -1).transpose(0, 2, 1)
        residual = np.linalg.solve((1 + 1e-9) * np.eye(equations) - own, residual)
        cost = float(np.sum(residual**2))
        if cost < best_cost:
            best, best_cost = residual, cost
    return best


def measure_semantics(
    keypoints: FloatArray, landmarks: FloatArray, landmark_names: tuple[str, ...]
) -> dict[str, Any]:
    """Figures over all keypoints, over all landmarks as a bar, and of each keypoint.

    Args:
        keypoints: mean places on I objects, (I, N, 3) in the object frame [model units].
        landmarks: (I, L, 3) in the same frame.
        landmark_names: L of them.

    Returns:
        `rms`: distance from the combination of landmarks; `rms_frozen`: of points frozen at the
        mean places; `within_01`: share of objects and keypoints nearer than 0.1; `movement`: RMS
        distance from the mean place [all in model units]; `explained`: share of the movement's
        square that is a linear function of the landmarks. `landmarks`: the same of each landmark by
        the others. `keypoints`: the same of each keypoint, with its nearest landmark and the mean
        distance to it.

    Raises:
        ValueError: too few objects to leave one out.
    """
    if len(keypoints) < _FEWEST:
        raise ValueError(
            f"Semantics need at least {_FEWEST} objects, got {len(keypoints)}. Render more."
        )
    count = len(landmark_names)
    bar = [_errors(np.delete(landmarks, i, axis=1), landmarks[:, i : i + 1]) for i in range(count)]
    errors = _errors(landmarks, keypoints)
    distance = np.linalg.norm(keypoints[:, :, None] - landmarks[:, None], axis=-1).mean(axis=0)
    nearest = distance.argmin(axis=1)
    return {
        **_summary(errors),
        "landmarks": _summary({name: np.hstack([b[name] for b in bar]) for name in errors}),
        "keypoints": [
            {
                **_summary({name: values[:, i] for name, values in errors.items()}),
                "nearest_landmark": landmark_names[k],
                "nearest_distance": float(distance[i, k]),
            }
            for i, k in enumerate(nearest)
        ],
    }


def extent_share(keypoints: FloatArray, landmarks: FloatArray) -> dict[str, float]:
    """Extent of the keypoints along each object axis as a share of the landmarks'.

    Extent is the standard deviation over points of their mean places; points on the symmetry plane
    would have none across it.
    """
    ours, theirs = keypoints.mean(axis=0).std(axis=0), landmarks.mean(axis=0).std(axis=0)
    return {axis: float(a / b) for axis, a, b in zip("xyz", ours, theirs, strict=True)}


def against_landmarks(predictions: Predictions, views: ViewSet) -> dict[str, Any]:
    """`semantics` and `extent_share` of metrics.json; empty where the data names no landmarks."""
    used = predictions.flag_correct
    some = used.any(axis=1)
    if views.landmarks is None or not views.landmark_names or some.sum() < _FEWEST:
        return {}
    keypoints = instance_keypoints(predictions.keypoints_object, used)
    landmarks = views.landmarks[some].astype(np.float64)
    return {
        "semantics": measure_semantics(keypoints, landmarks, views.landmark_names),
        "extent_share": extent_share(keypoints, landmarks),
    }


def _errors(landmarks: FloatArray, target: FloatArray) -> dict[str, FloatArray]:
    """Distances (I, N) of each kind, of points (I, N, 3)."""
    mean = target.mean(axis=0)
    num = len(target)
    return {
        "combination": combination_errors(landmarks, target),
        "frozen": combination_errors(landmarks, np.broadcast_to(mean, target.shape)),
        "linear": linear_errors(landmarks, target),
        # from the mean over the other objects
        "movement": np.linalg.norm(target - mean, axis=-1) * num / (num - 1),
    }


def _summary(errors: dict[str, FloatArray]) -> dict[str, float]:
    def rms(name: str) -> float:
        return float(np.sqrt(np.mean(errors[name] ** 2)))

    return {
        "rms": rms("combination"),
        "rms_frozen": rms("frozen"),
        "within_01": float(np.mean(errors["combination"] < NEAR)),
        "movement": rms("movement"),
        "explained": 1 - (rms("linear") / max(rms("movement"), 1e-12)) ** 2,
    }


def _points(target: FloatArray) -> list[FloatArray]:
    """The N points of (I, N, 3), each (I, 3)."""
    return list(target.transpose(1, 0, 2))


def _norms(residuals: list[FloatArray]) -> FloatArray:
    """Lengths (I, N) of N residuals of I x 3 numbers."""
    num = len(residuals[0])
    return np.stack([np.linalg.norm(r.reshape(num, -1), axis=-1) for r in residuals], axis=1)
