"""A loaded model: its network as bytes, and everything that is known about its keypoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference.acceptance import Acceptance
from kp3d_core.inference.surface import Surface

PRECISIONS = ("fp32", "fp16", "int8")
"""Precisions of a network's arithmetic; softmax and moments are float32 in all of them."""


@dataclass(frozen=True)
class TrainingCamera:
    """The pinhole camera that the training views were rendered with."""

    focal_px: float
    """Focal length at the model's input size [px]."""
    distance: float
    """Distance to the object's origin [model units]."""


@dataclass(frozen=True, eq=False)
class KeypointLayout:
    """What the keypoints are; everything a viewer or a pose estimate needs to know about them."""

    names: tuple[str, ...]
    """One per keypoint, unique."""
    colors: NDArray[np.float64]
    """RGB in 0..1, shape (N, 3)."""
    edges: NDArray[np.int64]
    """Pairs of keypoint indices that a viewer joins, shape (E, 2)."""
    canonical: NDArray[np.float64]
    """Mean position in the object frame over the training set, shape (N, 3) [model units]."""
    spread: NDArray[np.float64]
    """Standard deviation of those positions per object axis, shape (N, 3) [model units]."""
    symmetry: str = "none"
    """Of the objects about z, one of `geometry.symmetry.SYMMETRIES`. Where it is full, keypoints
    have no place on the object, only one relative to the camera: x points towards it."""

    @property
    def count(self) -> int:
        """Number of keypoints."""
        return len(self.names)


@dataclass(frozen=True)
class ViewTraits:
    """What tells how hard a view is; or the slope of something over each of these."""

    misfit: float = 0.0
    """`Detection.misfit`: how little the keypoints look like the object's."""
    foreshortening: float = 0.0
    """Share of the object's variance along the line of sight, 0..1: its size is hidden there."""
    log_distance: float = 0.0
    """Natural logarithm of the object's distance [model units]: near views are distorted most."""
    certainty: float = 0.0
    """Logarithm of the odds that front and back are not confused, bounded: where the network
    hesitates between them, it errs in everything else, too."""
    elevation: float = 0.0
    """Sine of the angle from which the camera looks down on the object, -1..1."""
    zoom: float = 0.0
    """Absolute logarithm of the apparent size: 0 in a crop that shows the object as large as in
    training, where a tracker's crops do."""
    roll: float = 0.0
    """Angle between the object's upright axis and the crop's, without sign [rad]."""


@dataclass(frozen=True)
class Calibration:
    """Measured on held-out renders: turns the network's spreads into standard deviations."""

    keypoint_uv_scale: float = 1.0
    """Factor on the standard deviation of a heatmap in the image."""
    keypoint_uv_floor_px: float = 0.0
    """Standard deviation in the image that is added in quadrature [crop px]."""
    keypoint_depth_scale: float = 1.0
    """Factor on the standard deviation of a heatmap's depth."""
    keypoint_depth_floor: float = 0.0
    """Standard deviation of depth that is added in quadrature [model units]."""
    scale_std: float = 0.0
    """Standard deviation of the natural logarithm of `scale`."""
    rotation_scale: float = 1.0
    """Factor on the standard deviations of the pose's rotation."""
    translation_scale: float = 1.0
    """Factor on the standard deviations of the pose's translation, its share from `scale` apart."""
    misfit_limit: float = 0.5
    """Misfit (`Detection.misfit`) that 99.5 % of the views whose pose is right stay under; what is
    not the object mostly gives more."""
    relative_rotation_scale: float = 1.0
    """`rotation_scale` of a motion between two views, where what is particular about the instance
    cancels."""
    relative_translation_scale: float = 1.0
    """`translation_scale` of a motion between two views."""
    typical: ViewTraits = ViewTraits()
    """Mean view of the measurement; the growths below are 1 there."""
    own_growth: ViewTraits = ViewTraits()
    """Slopes of the logarithm of a keypoint's own standard deviation, and so of the pose's."""
    scale_growth: ViewTraits = ViewTraits()
    """Slopes of the logarithm of `scale_std`."""


@dataclass(frozen=True, eq=False)
class Extent:
    """Mean bounding box of the category's objects, by which a box in the image tells the size."""

    half: NDArray[np.float64]
    """Half of its length, width and height, shape (3,) [model units]."""
    size_std: float
    """Standard deviation of the logarithm of an object's size in the image about that of this box;
    infinite if it was not measured, and then a box tells nothing of the size."""
    place_std: float
    """Standard deviation of the place where the network sees an object, relative to its box."""

    @staticmethod
    def of_keypoints(canonical: NDArray[np.float64]) -> Extent:
        """What keypoints (N, 3) tell alone: the place."""
        return Extent(np.maximum(np.ptp(canonical, axis=0) / 2, 1e-3), math.inf, 0.05)


@dataclass(frozen=True, eq=False)
class Model:
    """A model file in memory, checked."""

    name: str
    """Name that it is asked for by, for example `car`."""
    category: str
    """Category of objects that it knows."""
    version: str
    """Version of the model, not of this software."""
    input_size: int
    """Width and height of its input image [px]."""
    training_camera: TrainingCamera
    keypoints: KeypointLayout
    calibration: Calibration
    metrics: Mapping[str, Any]
    """What it reached in evaluation, as the exporter wrote it."""
    provenance: Mapping[str, Any]
    """Command, configuration and commit that made it."""
    data: bytes = field(repr=False)
    """The whole file."""
    sha256: str
    """Hexadecimal digest of `data`; the key of everything derived from the file."""
    precision: str = "fp32"
    """Of the graph in the file, one of `PRECISIONS`."""
    acceptance: Acceptance | None = None
    """Which results may be used; None in files in which it was not measured."""
    extent: Extent | None = None
    """Mean bounding box; None in files that do not know it."""
    surface: Surface | None = None
    """Where the surface that a depth image shows lies before the keypoints; None if that was not
    measured."""
    quantized_from: str = ""
    """`sha256` of the file in fp32 that this one was made of by `kp3d package`; empty if none."""
    int8: Model | None = field(default=None, repr=False)
    """The same in int8, where the file that `kp3d package` wrote lies beside this one."""

    @property
    def symmetry(self) -> str:
        """Of the objects about z: `none` if every turn of the object looks different."""
        return self.keypoints.symmetry
