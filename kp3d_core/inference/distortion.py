"""Lens distortion models of ROS and OpenCV, with an inverse that converges at the image corners.

Written out here, and not called from OpenCV, because its Python functions for the inverse differ
between versions 4 and 5 and stop after 5 iterations by default, which leaves pixels of error in the
corners of a wide lens.

Reference: OpenCV documentation, "Camera Calibration and 3D Reconstruction" (rational and tangential
terms) and "Fisheye camera model"; ROS REP 104 for the order of the coefficients.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_ITERATIONS = 20
_STEP = 1e-6


class Distortion(ABC):
    """Mapping between undistorted and distorted coordinates on the plane z = 1."""

    farthest: float
    """Radius that the search for the fold covers [undistorted coordinate]."""
    is_identity = False
    """Whether distorted and undistorted coordinates are the same."""

    @abstractmethod
    def normalise(
        self, x: FloatArray, y: FloatArray, z: FloatArray, min_z: float
    ) -> tuple[FloatArray, FloatArray]:
        """Undistorted coordinates of points; `min_z` bounds z / |point| from below."""

    @abstractmethod
    def direction(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Unit vectors (..., 3) of undistorted coordinates."""

    @abstractmethod
    def distort_within_fold(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distorted coordinates where the model is monotonic."""

    @cached_property
    def fold_radius(self) -> float:
        """Undistorted radius at which the image of a straight radius turns back."""
        radius = np.linspace(0, self.farthest, 4001)
        distorted, _ = self.distort_within_fold(radius, 0 * radius)
        turns = np.flatnonzero(np.diff(distorted) <= 0)
        return float(radius[turns[0]]) if len(turns) else self.farthest

    def distort(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distorted coordinates; beyond the fold they go on outwards instead of coming back."""
        excess = np.maximum(np.hypot(x, y) / self.fold_radius, 1)
        x_d, y_d = self.distort_within_fold(x / excess, y / excess)
        return x_d * excess, y_d * excess

    def undistort(self, x_d: FloatArray, y_d: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Undistorted coordinates by Newton's method, exact to rounding inside the fold."""
        x, y = x_d + 0.0, y_d + 0.0
        for _ in range(_ITERATIONS):
            x_0, y_0 = self.distort(x, y)
            x_1, y_1 = self.distort(x + _STEP, y)
            x_2, y_2 = self.distort(x, y + _STEP)
            a, b = (x_1 - x_0) / _STEP, (x_2 - x_0) / _STEP
            c, d = (y_1 - y_0) / _STEP, (y_2 - y_0) / _STEP
            error_x, error_y = x_0 - x_d, y_0 - y_d
            determinant = a * d - b * c
            determinant = np.where(np.abs(determinant) > 1e-6, determinant, 1e-6)
            step_x = (d * error_x - b * error_y) / determinant
            step_y = (a * error_y - c * error_x) / determinant
            # A step longer than this leaves the region where the linearisation means anything.
            shrink = np.minimum(1, 0.3 / np.maximum(np.hypot(step_x, step_y), 1e-300))
            x, y = x - shrink * step_x, y - shrink * step_y
            if np.max(np.hypot(step_x, step_y), initial=0.0) < 1e-12:
                break
        return x, y


class Rational(Distortion):
    """Radial (polynomial or rational) and tangential distortion: `plumb_bob` and its extension."""

    farthest = 10.0

    def __init__(self, coefficients: Sequence[float]) -> None:
        """Take k1 k2 p1 p2 [k3 [k4 k5 k6]] in OpenCV's order; nothing means no distortion."""
        padded = np.zeros(8)
        padded[: min(len(coefficients), 8)] = coefficients[:8]
        self._k1, self._k2, self._p1, self._p2, self._k3 = padded[:5]
        self._k4, self._k5, self._k6 = padded[5:]
        self.is_identity = not padded.any()

    def normalise(
        self, x: FloatArray, y: FloatArray, z: FloatArray, min_z: float
    ) -> tuple[FloatArray, FloatArray]:
        """Perspective division."""
        z = np.maximum(z, min_z * (np.abs(x) + np.abs(y) + np.abs(z)))
        return x / z, y / z

    def direction(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Unit vectors through points of the plane z = 1."""
        length = np.sqrt(x * x + y * y + 1)
        return np.stack([x / length, y / length, 1 / length], axis=-1)

    def distort(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distorted coordinates; beyond the fold they go on outwards instead of coming back."""
        return (x, y) if self.is_identity else super().distort(x, y)

    def undistort(self, x_d: FloatArray, y_d: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Undistorted coordinates."""
        return (x_d, y_d) if self.is_identity else super().undistort(x_d, y_d)

    def distort_within_fold(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Radial factor and tangential shift."""
        r2 = x * x + y * y
        factor = 1 + r2 * (self._k1 + r2 * (self._k2 + r2 * self._k3))
        if self._k4 or self._k5 or self._k6:
            factor = factor / (1 + r2 * (self._k4 + r2 * (self._k5 + r2 * self._k6)))
        xy2 = 2 * x * y
        x_d = x * factor + self._p1 * xy2 + self._p2 * (r2 + 2 * x * x)
        y_d = y * factor + self._p1 * (r2 + 2 * y * y) + self._p2 * xy2
        return x_d, y_d


class Equidistant(Distortion):
    """Fisheye: image radius is a polynomial of the angle to the axis.

    The undistorted coordinates here are angle times direction, so views beyond 90 degrees work.
    """

    farthest = float(np.pi)

    def __init__(self, coefficients: Sequence[float]) -> None:
        """Take k1 k2 k3 k4 in OpenCV's order."""
        self._k1, self._k2, self._k3, self._k4 = coefficients

    def normalise(
        self, x: FloatArray, y: FloatArray, z: FloatArray, min_z: float
    ) -> tuple[FloatArray, FloatArray]:
        """Angle to the axis, split along x and y."""
        radius = np.hypot(x, y)
        factor = np.arctan2(radius, z) / np.maximum(radius, 1e-300)
        factor = np.where(radius > 0, factor, 0)
        return x * factor, y * factor

    def direction(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Unit vectors of angles split along x and y."""
        angle = np.hypot(x, y)
        factor = np.sinc(angle / np.pi)  # sin(angle) / angle
        return np.stack([x * factor, y * factor, np.cos(angle)], axis=-1)

    def distort_within_fold(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Polynomial of the angle."""
        a2 = x * x + y * y
        factor = 1 + a2 * (self._k1 + a2 * (self._k2 + a2 * (self._k3 + a2 * self._k4)))
        return x * factor, y * factor
