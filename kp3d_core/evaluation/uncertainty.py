"""Whether reported covariances are true: normalised squared errors against the chi-square law.

With a covariance C that is right, the normalised estimation error squared (NEES) e^T C^-1 e of an
error e with k components has the mean k, and 95 % of the errors lie inside the ellipsoid that C
draws. A larger mean says that a robot is told too small errors.

Reference: Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation,
2001, section 5.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.predictions import Predictions, over_black
from kp3d_core.geometry.rotation import invert_transform, transform_points
from kp3d_core.geometry.symmetry import nearest_pose
from kp3d_core.inference import CameraModel, Detection, Detector, Model, RelativePose, View
from kp3d_core.inference.engines import Engine

FloatArray = NDArray[np.float64]

OUTLIER_DEG = 45.0
"""Larger rotation errors are wrong orientations, front taken for back, which no Gaussian describes;
the orientation score speaks of those. They are counted, not averaged."""

_CHI_SQUARE = {2: (1.386, 5.991), 3: (2.366, 7.815), 5: (4.351, 11.070), 6: (5.348, 12.592)}
"""Median and 95 % quantile of the chi-square law by degrees of freedom."""


@dataclass(frozen=True)
class NeesSummary:
    """Distribution of normalised squared errors."""

    dof: int
    """Components of the error: the mean of honest covariances."""
    mean: float | None
    """This and what follows is None without samples."""
    median: float | None
    expected_median: float
    within_95: float | None
    """Share inside the 95 % ellipsoid."""
    samples: int


def nees(error: FloatArray, covariance: FloatArray) -> FloatArray:
    """Normalised squared errors (...) of errors (..., k) with covariances (..., k, k)."""
    whitened = np.linalg.solve(covariance, error[..., None])[..., 0]
    return np.asarray(np.sum(error * whitened, axis=-1))


def summarize_nees(values: FloatArray, dof: int) -> NeesSummary:
    """Figures of normalised squared errors (K,) with 2, 3, 5 or 6 degrees of freedom."""
    median, limit = _CHI_SQUARE[dof]
    if not len(values):
        return NeesSummary(dof, None, None, median, None, 0)
    return NeesSummary(
        dof=dof,
        mean=float(np.mean(values)),
        median=float(np.median(values)),
        expected_median=median,
        within_95=float(np.mean(values < limit)),
        samples=len(values),
    )


def observe(
    model: Model, engine: Engine, views: ViewSet, views_per_instance: int | None = None
) -> list[list[Detection]]:
    """What a robot would be told of each view: detections of the first views of each object.

    The detector looks where the object is and at its true zoom, as a tracker does.
    """
    detector = Detector(model, engine)
    rows = []
    for index in range(len(views.rgba)):
        row = []
        images = over_black(views, index)[:views_per_instance]
        for image, K in zip(images, views.K[index].astype(np.float64), strict=False):
            camera = CameraModel(K, views.size, views.size)
            row.append(detector.track(image, camera, View((0.0, 0.0, 1.0), float(K[0, 0]))))
        rows.append(row)
    return rows


def keypoint_truth(predictions: Predictions) -> FloatArray:
    """Where each keypoint ought to have been seen, (I, V, N, 3) in the object frame.

    A keypoint is discovered, so its true place on an object is taken to be the mean over the
    object's views with the right flag. The mean of n views contains the error of each of them,
    which makes errors small by sqrt(1 - 1/n); the places are moved so that errors have their full
    size.
    """
    X, used = predictions.keypoints_object, predictions.flag_correct
    weight = used[..., None, None].astype(np.float64)
    n = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    mean = (weight * X).sum(axis=1, keepdims=True) / n
    return np.asarray(X - (X - mean) * np.sqrt(n / np.maximum(n - 1, 1)))


def pose_error(T_est: FloatArray, T_gt: FloatArray, symmetry: str = "none") -> FloatArray:
    """Translation, then rotation vector about fixed axes, from the true to the estimated pose.

    Of true poses that are equally right by the symmetry of the object, the nearest one counts.
    """
    T_gt = nearest_pose(T_gt, T_est[:3, :3], symmetry)
    turn = cv2.Rodrigues(T_est[:3, :3] @ T_gt[:3, :3].T)[0].ravel()
    return np.concatenate([T_est[:3, 3] - T_gt[:3, 3], turn])


def rotation_dof(symmetry: str) -> int:
    """Components of a rotation error that can be seen: none about the axis of a full symmetry."""
    return 2 if symmetry == "full" else 3


def rotation_error_deg(error: FloatArray) -> float:
    """Angle of the rotation in a pose error (6,) [deg]."""
    return float(np.degrees(np.linalg.norm(error[3:])))


def is_outlier(error: FloatArray) -> bool:
    """Whether a pose error (6,) is a wrong orientation."""
    return rotation_error_deg(error) > OUTLIER_DEG


@dataclass(frozen=True, eq=False)
class ViewPair:
    """Two views of an object, none an outlier, and the true motion between them."""

    reference: Detection
    current: Detection
    T_reference_object: FloatArray
    """True motion in the frame of the reference's estimated pose, which counts as exact: (4, 4)."""


def absolute_errors(
    detections: Sequence[Sequence[Detection]], views: ViewSet
) -> list[list[FloatArray]]:
    """Error (6,) of the absolute pose of each detection."""
    return [
        [pose_error(d.T_camera_object, T, views.symmetry) for d, T in zip(row, poses, strict=False)]
        for row, poses in zip(detections, views.T_camera_object.astype(np.float64), strict=True)
    ]


def view_pairs(detections: Sequence[Sequence[Detection]], views: ViewSet) -> list[ViewPair]:
    """Successive views of each object; views are in random order, so motions are of all sizes."""
    pairs = []
    errors = absolute_errors(detections, views)
    for index, row in enumerate(detections):
        T = views.T_camera_object[index].astype(np.float64)
        for i, j in zip(range(len(row) - 1), range(1, len(row)), strict=True):
            if is_outlier(errors[index][i]) or is_outlier(errors[index][j]):
                continue
            T_est = row[i].T_camera_object
            motion_camera = T[j] @ invert_transform(T[i])
            truth = invert_transform(T_est) @ motion_camera @ T_est
            pairs.append(ViewPair(row[i], row[j], truth))
    return pairs


def measure_uncertainty(
    model: Model,
    engine: Engine,
    views: ViewSet,
    predictions: Predictions,
    views_per_instance: int = 20,
) -> dict[str, Any]:
    """Normalised errors of keypoints, absolute and relative pose, as in metrics.json.

    Views that the detector refuses are left out, of the others those with a wrong orientation (see
    `OUTLIER_DEG`; of keypoints: with the wrong flag); shares are in `accepted` and `outliers`. The
    views must be others than those of the calibration.
    """
    detections = observe(model, engine, views, views_per_instance)
    errors = absolute_errors(detections, views)
    absolute = [
        (error, detection.pose_covariance)
        for row in zip(detections, errors, strict=True)
        for detection, error in zip(*row, strict=True)
        if detection.accepted
    ]
    good = [(error, covariance) for error, covariance in absolute if not is_outlier(error)]
    relative = []
    for pair in view_pairs(detections, views):
        if not (pair.reference.accepted and pair.current.accepted):
            continue
        motion = RelativePose(pair.reference, model.calibration, model.symmetry).update(
            pair.current
        )
        error = pose_error(motion.T_reference_object, pair.T_reference_object, model.symmetry)
        relative.append((error, motion.covariance))
    keypoints = _keypoint_nees(detections, views, predictions)
    return {
        "keypoints": asdict(summarize_nees(keypoints, 3)),
        "absolute": _summarize_poses(good, rotation_dof(model.symmetry)),
        "relative": _summarize_poses(relative, rotation_dof(model.symmetry)),
        "accepted": len(absolute) / sum(map(len, detections)),
        "outliers": 1 - len(good) / len(absolute) if absolute else None,
    }


def _summarize_poses(
    samples: list[tuple[FloatArray, FloatArray]], rotation_dof: int
) -> dict[str, Any]:
    """Summaries of pose errors (6,) with covariances (6, 6): both halves and the whole."""
    e = np.array([error for error, _ in samples]).reshape(-1, 6)
    C = np.array([covariance for _, covariance in samples]).reshape(-1, 6, 6)
    return {
        "rotation": asdict(summarize_nees(nees(e[:, 3:], C[:, 3:, 3:]), rotation_dof)),
        "translation": asdict(summarize_nees(nees(e[:, :3], C[:, :3, :3]), 3)),
        "pose": asdict(summarize_nees(nees(e, C), 3 + rotation_dof)),
    }


def _keypoint_nees(
    detections: Sequence[Sequence[Detection]], views: ViewSet, predictions: Predictions
) -> FloatArray:
    """Normalised errors of all keypoints in views with the right flag, (K,)."""
    truth_camera = transform_points(
        views.T_camera_object.astype(np.float64), keypoint_truth(predictions)
    )
    values = [
        nees(d.keypoints_camera - truth_camera[i, v], d.keypoint_covariance)
        for i, row in enumerate(detections)
        for v, d in enumerate(row)
        if d.accepted and predictions.flag_correct[i, v]
    ]
    return np.concatenate(values) if values else np.zeros(0)
