"""Where the visible surface lies before the keypoints: what a depth image measures instead of them.

A depth image shows surfaces, but discovered keypoints lie anywhere in the body, and which of them
are hidden depends on the view. Where the object is along the line of sight follows from all gaps
between surface and keypoints together; a small network that was fitted to rendered depth images by
`kp3d package` says how.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_MAX_GAP = 0.8
"""A surface farther from a keypoint is not the object's [model units]."""
_MAX_SHIFT = 0.5
"""Largest displacement that is believed [model units]."""
_CORRECTIONS = 2
"""The gaps, and with them what they tell, change a little with the scale."""
_LEAST_DEPTH = 1.0
"""Of an object's centre: nearer ones would be around the camera [model units]."""
_VIEW_INPUTS = 10
"""Direction to the camera, its products, and the logarithm of the distance."""


@dataclass(frozen=True, eq=False)
class Surface:
    """What the gaps between the surface and the keypoints tell about the object's place."""

    weights: tuple[FloatArray, ...]
    """Of each layer, (outputs, inputs); SiLU between layers, one output."""
    biases: tuple[FloatArray, ...]
    """(outputs,) each."""
    std: float
    """Standard deviation of the place along the line of sight that remains [model units]."""
    measured: Mapping[str, Any] = field(default_factory=dict)
    """Errors of translations on objects that it was not fitted to, as the fit wrote them."""

    def corrected(
        self, unit_m: float, measured: FloatArray, depths: FloatArray, T_camera_object: FloatArray
    ) -> float:
        """Metres per model unit, from a first guess of it.

        Args:
            unit_m: the guess.
            measured: depth of the surface at the pixel of each keypoint (N,) [m]; NaN where it is
                not known.
            depths: of the keypoints at the distance that the apparent size tells (N,) [model
                units].
            T_camera_object: pose at that distance [model units].
        """
        depth = max(float(T_camera_object[2, 3]), _LEAST_DEPTH)
        for _ in range(_CORRECTIONS):
            unit_m *= 1 + self.shift(measured / unit_m - depths, T_camera_object) / depth
        return unit_m

    def shift(self, gaps: FloatArray, T_camera_object: FloatArray) -> float:
        """By how much the object is farther away than assumed [model units].

        Args:
            gaps: surface behind keypoint, positive, or before it, at the pixel of each (N,)
                [model units]; NaN where it is not known.
            T_camera_object: assumed pose [model units].
        """
        x = surface_inputs(gaps, T_camera_object)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = weight @ x + bias
            x = x / (1 + np.exp(-x.clip(-50, 50)))
        shift = float(self.weights[-1][0] @ x + self.biases[-1][0])
        return min(max(shift, -_MAX_SHIFT), _MAX_SHIFT)


def guess_unit(measured: FloatArray, depths: FloatArray) -> float | None:
    """Metres per model unit at which half of the keypoints are before the surface; rough.

    What is seen through the object or before it moves a median little. Arguments as of
    `Surface.corrected`; None where no depth is known.
    """
    usable = np.isfinite(measured) & (depths > 0)
    return float(np.median(measured[usable] / depths[usable])) if usable.any() else None


def is_known(gaps: FloatArray) -> NDArray[np.bool_]:
    """Which gaps (N,) are those of the object's own surface."""
    return np.abs(np.nan_to_num(gaps, nan=np.inf)) < _MAX_GAP


def surface_inputs(gaps: FloatArray, T_camera_object: FloatArray) -> FloatArray:
    """What the network of `Surface` is told, (`input_count(N)`,); arguments as of its `shift`."""
    known = is_known(gaps)
    camera_object = -T_camera_object[:3, :3].T @ T_camera_object[:3, 3]
    distance = max(float(np.linalg.norm(camera_object)), 1e-9)
    x, y, z = camera_object / distance
    view = [x, y, z, x * x, y * y, z * z, x * y, y * z, x * z, math.log(distance)]
    return np.concatenate([np.where(known, gaps, 0.0), known, view])


def input_count(num_keypoints: int) -> int:
    """Length of `surface_inputs`."""
    return 2 * num_keypoints + _VIEW_INPUTS
