"""Honest covariances: factors that make predicted spreads match errors on held-out views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.predictions import Predictions, predict
from kp3d_core.evaluation.uncertainty import (
    absolute_errors,
    is_outlier,
    keypoint_truth,
    nees,
    observe,
    pose_error,
    rotation_dof,
    rotation_error_deg,
    view_pairs,
)
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.inference import Detection, Model, RelativePose
from kp3d_core.inference.engines import Engine
from kp3d_core.inference.growth import view_traits
from kp3d_core.inference.lift import LiftedKeypoints
from kp3d_core.inference.model import Calibration, ViewTraits
from kp3d_core.inference.pose_fit import PoseFit, fit_layout
from kp3d_core.package.variance_model import fit_log_variance, fit_variance

FloatArray = NDArray[np.float64]

_RIGHT_DEG = 10.0
"""Views with a larger error of the rotation do not say what misfit to accept: of chairs with more
misfit than nearly all of the right ones, half are off by more than 20 degrees."""
_MAX_FACTOR = 50.0
"""Bound of a factor on the standard deviations of a pose, and of its inverse."""


def calibrate(model: Model, engine: Engine, views: ViewSet) -> Calibration:
    """Calibration of a model whose own one, if it has any, is not looked at.

    Args:
        model: with its canonical keypoints.
        engine: runs the model.
        views: held-out views.
    """
    predictions = predict(model, engine, views)
    model = replace(model, calibration=calibrate_keypoints(predictions, views))
    return calibrate_pose(model, engine, views, predictions)


def calibrate_keypoints(predictions: Predictions, views: ViewSet) -> Calibration:
    """Scales and floors of keypoint covariances: `scale^2 * heatmap variance + floor^2`."""
    used = predictions.flag_correct
    T = views.T_camera_object.astype(np.float64)
    truth_camera = transform_points(T, keypoint_truth(predictions))
    uv_error = predictions.keypoints_uv - project(truth_camera, views.K.astype(np.float64))
    uv_error = uv_error[used]
    depth_error = predictions.depth_offset - (truth_camera[..., 2] - T[..., None, 2, 3])
    covariance = predictions.covariance[used]
    uv_scale, uv_floor = fit_variance(
        np.concatenate([covariance[..., 0, 0].ravel(), covariance[..., 1, 1].ravel()]),
        np.concatenate([uv_error[..., 0].ravel(), uv_error[..., 1].ravel()]),
    )
    depth_scale, depth_floor = fit_variance(
        covariance[..., 2, 2].ravel(), depth_error[used].ravel()
    )
    log_scale_error = np.log(predictions.scale / predictions.scale_true)[used]
    return Calibration(
        keypoint_uv_scale=uv_scale,
        keypoint_uv_floor_px=uv_floor,
        keypoint_depth_scale=depth_scale,
        keypoint_depth_floor=depth_floor,
        scale_std=float(log_scale_error.std()),
    )


def calibrate_pose(
    model: Model, engine: Engine, views: ViewSet, predictions: Predictions
) -> Calibration:
    """Growth of errors with the difficulty of a view, factors of poses, and the misfit's limit.

    Chosen so that the mean normalised squared error (NEES) over held-out views is 3 for keypoints,
    and 3 for rotation and for translation of absolute and of relative poses, as for a correct
    Gaussian; of the rotation of round objects it is 2. Wrong orientations are left out.

    Args:
        model: with the result of `calibrate_keypoints`, and neither growth nor factors yet.
        engine: runs the model.
        views: held-out views.
        predictions: of these views.
    """
    calibration = _calibrate_growth(model, engine, views, predictions)
    model = replace(model, calibration=calibration)
    detections = observe(model, engine, views)
    misfits = [detection.misfit for row in detections for detection in row]
    turns_deg = [
        rotation_error_deg(error) for row in absolute_errors(detections, views) for error in row
    ]
    limit = misfit_limit(np.array(misfits), np.array(turns_deg))
    model = replace(model, calibration=replace(calibration, misfit_limit=limit))
    return calibrate_factors(model, engine, views)


def calibrate_factors(model: Model, engine: Engine, views: ViewSet) -> Calibration:
    """The model's calibration with factors of poses that hold for what it accepts.

    For all views, where it accepts none, or only wrong ones.

    Args:
        model: with a calibration and the acceptance that it will have.
        engine: runs the model.
        views: held-out views.
    """
    detections = observe(model, engine, views)
    for only_accepted in (True, False):
        absolute = [
            (error, _absolute_fit(detection, model))
            for row, errors in zip(detections, absolute_errors(detections, views), strict=True)
            for detection, error in zip(row, errors, strict=True)
            if (detection.accepted or not only_accepted) and not is_outlier(error)
        ]
        relative = []
        for pair in view_pairs(detections, views):
            if only_accepted and not (pair.reference.accepted and pair.current.accepted):
                continue
            fit = RelativePose(pair.reference, symmetry=model.symmetry).fit(pair.current)
            relative.append((pose_error(fit.T, pair.T_reference_object, model.symmetry), fit))
        if absolute and relative:
            break
    dof = rotation_dof(model.symmetry)
    translation_scale, rotation_scale = _pose_factors(absolute, dof)
    relative_translation_scale, relative_rotation_scale = _pose_factors(relative, dof)
    return replace(
        model.calibration,
        rotation_scale=rotation_scale,
        translation_scale=translation_scale,
        relative_rotation_scale=relative_rotation_scale,
        relative_translation_scale=relative_translation_scale,
    )


def misfit_limit(misfit: FloatArray, turn_deg: FloatArray) -> float:
    """Misfit that 99.5 % of the right views stay under.

    Args:
        misfit: of each view, (V,).
        turn_deg: error of the rotation of its absolute pose, (V,) [deg].
    """
    right = misfit[turn_deg < _RIGHT_DEG]
    return float(np.percentile(right, 99.5)) if len(right) else Calibration.misfit_limit


@dataclass(frozen=True)
class _ViewErrors:
    """Normalised squared errors of one view by what the detector says without any growth."""

    traits: ViewTraits
    keypoints: float
    """Mean over keypoints, 3 degrees of freedom, errors of the apparent size left out."""
    rotation: float
    """3 degrees of freedom; 2 of round objects."""
    lateral: float
    """Of the translation across the line of sight, 2 degrees of freedom."""
    log_scale: float
    """Error of the logarithm of the apparent size, squared."""


def _calibrate_growth(
    model: Model, engine: Engine, views: ViewSet, predictions: Predictions
) -> Calibration:
    """Typical view, growth of keypoint errors and of the apparent size's error."""
    detections = observe(model, engine, views)
    found = _view_errors(model, detections, views, predictions)
    calibration = model.calibration
    if not found:
        return calibration
    traits = np.array([astuple(view.traits) for view in found])
    typical = traits.mean(axis=0)

    def column(name: str) -> FloatArray:
        return np.array([getattr(view, name) for view in found])

    own, own_slopes = fit_log_variance(
        [
            (column("keypoints"), 3),
            (column("rotation"), rotation_dof(model.symmetry)),
            (column("lateral"), 2),
        ],
        traits - typical,
    )
    scale, scale_slopes = fit_log_variance([(column("log_scale"), 1)], traits - typical)
    factor = float(np.exp(own[0]))
    return replace(
        calibration,
        keypoint_uv_scale=factor * calibration.keypoint_uv_scale,
        keypoint_uv_floor_px=factor * calibration.keypoint_uv_floor_px,
        keypoint_depth_scale=factor * calibration.keypoint_depth_scale,
        keypoint_depth_floor=factor * calibration.keypoint_depth_floor,
        scale_std=float(np.exp(scale[0])),
        typical=ViewTraits(*map(float, typical)),
        own_growth=ViewTraits(*map(float, own_slopes)),
        scale_growth=ViewTraits(*map(float, scale_slopes)),
    )


def _view_errors(
    model: Model, detections: list[list[Detection]], views: ViewSet, predictions: Predictions
) -> list[_ViewErrors]:
    truth_object = keypoint_truth(predictions)
    errors = absolute_errors(detections, views)
    found = []
    for i, v in np.argwhere(predictions.flag_correct):
        detection, error = detections[i][v], errors[i][v]
        if is_outlier(error):
            continue
        R = views.T_camera_object[i, v, :3, :3].astype(np.float64)
        keypoint_error = (predictions.keypoints_object[i, v] - truth_object[i, v]) @ R.T
        own = _absolute_fit(detection, model).own_covariance_seen
        found.append(
            _ViewErrors(
                view_traits(
                    detection.T_camera_object,
                    detection.misfit,
                    detection.orientation_score,
                    model.keypoints,
                    detection.unit_m,
                    scale=detection.scale,
                    R_crop_camera=detection.crop.R_crop_camera,
                ),
                float(nees(keypoint_error, detection.own_covariance).mean()),
                float(nees(error[3:], own[3:, 3:])),
                float(nees(error[:2], own[:2, :2])),  # views are centred: x, y are across
                float(np.log(predictions.scale[i, v] / predictions.scale_true[i, v]) ** 2),
            )
        )
    return found


def _absolute_fit(detection: Detection, model: Model) -> PoseFit:
    """The fit behind a detection's absolute pose, its errors not calibrated yet."""
    lifted = LiftedKeypoints(
        detection.keypoints_camera, detection.own_covariance, detection.common_errors
    )
    return fit_layout(model.keypoints, lifted, detection.unit_m, detection.growth)


def _pose_factors(
    samples: list[tuple[FloatArray, PoseFit]], rotation_dof: int
) -> tuple[float, float]:
    """Factors with which the mean NEES is 3 of translations and `rotation_dof` of rotations.

    Errors of keypoints are not independent of each other, hence the factors.
    """

    def excess(translation: float, rotation: float, part: slice, dof: int) -> float:
        values = [
            nees(error[part], fit.covariance(translation, rotation)[part, part])
            for error, fit in samples
        ]
        return float(np.mean(values)) - dof

    if not samples:
        return 1.0, 1.0
    rotation = _root_of_falling(lambda factor: excess(1.0, factor, slice(3, 6), rotation_dof))
    translation = _root_of_falling(lambda factor: excess(factor, rotation, slice(0, 3), 3))
    return translation, rotation


def _root_of_falling(function: Callable[[float], float]) -> float:
    """Factor at which a falling function is zero, by bisection of its logarithm."""
    low, high = -np.log(_MAX_FACTOR), np.log(_MAX_FACTOR)
    for _ in range(16):  # to a ten-thousandth
        middle = (low + high) / 2
        low, high = (middle, high) if function(float(np.exp(middle))) > 0 else (low, middle)
    return float(np.exp((low + high) / 2))
