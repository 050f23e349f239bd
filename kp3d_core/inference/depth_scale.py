"""Metric scale of a detection from a depth image."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference.detection import Detection
from kp3d_core.inference.lift import LiftedKeypoints
from kp3d_core.inference.model import Model
from kp3d_core.inference.pose_fit import fit_layout
from kp3d_core.inference.surface import Surface, guess_unit, is_known

FloatArray = NDArray[np.float64]

_TOLERANCE = 0.02
"""Ratios that differ by less than this fraction agree."""
_LARGE = 0.6
"""A group with this share of the weight of the heaviest one may be that of the surface, too."""
_MIN_AGREEING = 3
"""Fewer keypoints prove nothing: any two may agree by chance."""
_SURFACE_STD = 0.16
"""How far the surface is from where keypoints lie in it [model units]: all of a group err alike, so
their number does not help. Measured on 18 cars, chairs and planes, 426 views: 0.16, 0.17, 0.16.
Model files with a `Surface` have their own figure."""
_CONTRADICTION = math.log(2.0)
"""Difference of the logarithms of two sizes that no object of roughly known size explains."""
_STDS = 3.0
"""The same as standard deviations of the known size, where its own is large."""


@dataclass(frozen=True)
class DepthScale:
    """What a depth image says about the size of an object."""

    unit_m: float
    """Metres per model unit."""
    relative_std: float
    """Its standard deviation, divided by it."""
    agreeing: int
    """Keypoints that support it."""


def scale_from_depth(
    detection: Detection,
    depth_m: NDArray[np.float32],
    image_size_wh: tuple[int, int],
    surface: Surface | None = None,
) -> DepthScale | None:
    """Scale at which the keypoints lie in the measured surface; None if too few are measured.

    With a `Surface` the gaps of all keypoints tell the scale, from a rough guess on. Without one,
    it is the one that most keypoints agree on: that of a keypoint is the ratio of its measured and
    its estimated depth. Keypoints that the object hides, that lie inside of it or beside it in the
    image give other ratios, each its own; those on the visible surface give the same. What lies in
    front of a keypoint makes its ratio smaller, so of the large groups that agree the one with the
    largest ratio decides: the heaviest one often holds keypoints that lie equally deep inside.

    Args:
        detection: in any unit.
        depth_m: depth along the optical axis [m], shape (H, W), registered to the image and of any
            resolution; what is not finite and positive is not known.
        image_size_wh: width and height of the image that the detection belongs to [px].
        surface: of the model, if it has one.
    """
    measured = sample_depth(depth_m, detection.keypoints_uv, image_size_wh)
    estimated = detection.keypoints_camera[:, 2] / detection.unit_m
    if surface is not None:
        return _scale_by_surface(measured, estimated, detection, surface)
    return _scale_by_agreement(measured, estimated, detection)


def _scale_by_surface(
    measured: FloatArray, estimated: FloatArray, detection: Detection, surface: Surface
) -> DepthScale | None:
    T = detection.T_camera_object.copy()
    T[:3, 3] /= detection.unit_m
    guess = guess_unit(measured, estimated)
    if guess is None:
        return None
    unit_m = surface.corrected(guess, measured, estimated, T)
    agreeing = int(is_known(measured / unit_m - estimated).sum())
    if agreeing < _MIN_AGREEING:
        return None
    return DepthScale(unit_m, surface.std / float(np.linalg.norm(T[:3, 3])), agreeing)


def _scale_by_agreement(
    measured: FloatArray, estimated: FloatArray, detection: Detection
) -> DepthScale | None:
    usable = np.isfinite(measured) & (estimated > 0)
    if usable.sum() < _MIN_AGREEING:
        return None
    ratios = measured[usable] / estimated[usable]
    weights = detection.score[usable]
    agree = np.abs(ratios[:, None] / ratios - 1) < _TOLERANCE
    support = np.where(agree.sum(axis=1) >= _MIN_AGREEING, agree @ weights, 0.0)
    if not support.any():
        return None
    large = support >= _LARGE * support.max()
    group = agree[np.argmax(np.where(large, ratios, 0.0))]
    chosen, shares = ratios[group], weights[group] / weights[group].sum()
    unit_m = float(shares @ chosen)
    spread = float(np.sqrt(shares @ (chosen / unit_m - 1) ** 2))
    distance = float(np.linalg.norm(detection.T_camera_object[:3, 3])) / detection.unit_m
    std = np.hypot(spread / np.sqrt(len(chosen)), _SURFACE_STD / distance)
    return DepthScale(unit_m, float(std), int(group.sum()))


def contradicts(scale: DepthScale, detection: Detection) -> bool:
    """Whether a depth image and the size that an object is known to have exclude each other.

    One of them then is wrong, by its units or its camera, and nothing tells which.

    Args:
        scale: from `scale_from_depth`.
        detection: that it was asked for, before `rescale`.
    """
    if not detection.metric:
        return False
    points, by_size = detection.keypoints_camera, detection.common_errors[1]
    relative_std = float(np.linalg.norm(by_size) / np.linalg.norm(points))
    difference = abs(math.log(scale.unit_m / detection.unit_m))
    return difference > max(_CONTRADICTION, _STDS * relative_std)


def without_scale(detection: Detection, model: Model) -> Detection:
    """The detection in model units, as of an object whose size is not known.

    Args:
        detection: in any unit.
        model: that it was found with.
    """
    factor = 1 / detection.unit_m
    T = detection.T_camera_object.copy()
    T[:3, 3] *= factor
    by_apparent_size = detection.common_errors[0] * factor
    lifted = LiftedKeypoints(
        detection.keypoints_camera * factor,
        detection.own_covariance * factor**2,
        np.stack([by_apparent_size, np.zeros_like(by_apparent_size)]),
    )
    return _told(detection, model, lifted, T, metric=False, unit_m=1.0)


def rescale(detection: Detection, model: Model, scale: DepthScale) -> Detection:
    """The detection in metres, as a depth image tells them.

    Everything lies on the same rays; only distances and sizes change. Of a known size the error of
    the apparent size is one of the distance; here it is the other way round.

    Args:
        detection: in any unit.
        model: that it was found with.
        scale: from `scale_from_depth`.
    """
    factor = scale.unit_m / detection.unit_m
    points = detection.keypoints_camera * factor
    T = detection.T_camera_object.copy()
    T[:3, 3] *= factor
    along = detection.common_errors[0].mean(axis=0)
    apparent_std = np.linalg.norm(along) / np.linalg.norm(detection.T_camera_object[:3, 3])
    lifted = LiftedKeypoints(
        points,
        detection.own_covariance * factor**2,
        np.stack([apparent_std * (points - T[:3, 3]), scale.relative_std * points]),
    )
    return _told(detection, model, lifted, T, metric=True, unit_m=scale.unit_m)


def _told(
    detection: Detection,
    model: Model,
    lifted: LiftedKeypoints,
    T_camera_object: FloatArray,
    *,
    metric: bool,
    unit_m: float,
) -> Detection:
    """The detection with its keypoints in another unit, and the covariance of its pose in that."""
    calibration = model.calibration
    fit = fit_layout(model.keypoints, lifted, unit_m, detection.growth)
    return dataclasses.replace(
        detection,
        keypoints_camera=lifted.points_camera,
        own_covariance=lifted.covariance,
        common_errors=lifted.common,
        T_camera_object=T_camera_object,
        pose_covariance=fit.covariance(calibration.translation_scale, calibration.rotation_scale),
        metric=metric,
        unit_m=unit_m,
    )


def sample_depth(
    depth_m: NDArray[np.float32], uv: FloatArray, image_size_wh: tuple[int, int]
) -> FloatArray:
    """Depth at pixels of the image [m], shape (N,); NaN where it is not known.

    Takes the median of the 3 x 3 nearest values: an average over an edge would be a depth at which
    nothing is.

    Args:
        depth_m: shape (H, W), of any resolution.
        uv: pixels in the image, shape (N, 2).
        image_size_wh: width and height of that image [px].
    """
    height, width = depth_m.shape
    per_pixel = np.array([width, height]) / image_size_wh
    at = np.floor((np.nan_to_num(uv, nan=-1e6) + 0.5) * per_pixel)
    at = np.clip(at, -1e6, 1e6).astype(np.int64)
    step = np.arange(-1, 2)
    columns = at[:, 0, None, None] + step[None, None, :]
    rows = at[:, 1, None, None] + step[None, :, None]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    values = depth_m[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    known = inside & np.isfinite(values) & (values > 0)
    samples = np.where(known, values.astype(np.float64), np.nan).reshape(len(uv), -1)
    samples = np.sort(samples, axis=1)  # what is not known goes last
    count = np.isfinite(samples).sum(axis=1)
    middle = samples[np.arange(len(uv)), np.maximum(count - 1, 0) // 2]
    is_in_view = inside[:, 1, 1]
    return np.where((count > 0) & is_in_view, middle, np.nan)
