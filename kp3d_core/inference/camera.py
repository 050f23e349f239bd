"""Calibrated camera: pixels of the raw (distorted) image to rays and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference.distortion import Distortion, Equidistant, Rational

FloatArray = NDArray[np.float64]

_COEFFICIENT_COUNTS = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}
_MIN_Z = 1e-6
"""Smallest z of a direction in front of the image plane, as a fraction of its length."""


@dataclass(frozen=True, eq=False)
class CameraModel:
    """Intrinsics and lens distortion of one image, as ROS `CameraInfo` and OpenCV define them."""

    K: NDArray[np.float64]
    """Intrinsics of the raw image, shape (3, 3) [px]; top-left pixel centre is (0, 0)."""
    width: int
    """Image width [px]."""
    height: int
    """Image height [px]."""
    distortion: Sequence[float] | FloatArray = ()
    """Coefficients in OpenCV's order; empty if the image is rectified."""
    distortion_model: str = "plumb_bob"
    """`plumb_bob`, `rational_polynomial` or `equidistant` (fisheye)."""

    def __post_init__(self) -> None:
        """Check everything a camera driver can get wrong, and report all problems at once."""
        object.__setattr__(self, "K", np.asarray(self.K, dtype=np.float64))
        coefficients = tuple(float(value) for value in self.distortion)
        object.__setattr__(self, "distortion", coefficients)
        problems = [*_intrinsics_problems(self), *_distortion_problems(self)]
        if problems:
            raise ValueError("Camera calibration cannot be used: " + " ".join(problems))

    def project(self, points_camera: Any) -> NDArray[np.float64]:
        """Pixels of points in the camera frame, shape (..., 2), lens distortion included.

        Points that the lens cannot see (behind the image plane, or where the distortion polynomial
        folds back) are put outside the image, in their own direction.
        """
        points = np.asarray(points_camera, dtype=np.float64)
        u, v = self.project_xyz(*points.reshape(-1, 3).T)
        return np.stack([u, v], axis=-1).reshape(*points.shape[:-1], 2)

    def project_xyz(
        self, x: FloatArray, y: FloatArray, z: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Columns and rows of points; like `project`, faster for many points."""
        x_d, y_d = self._lens.distort(*self._lens.normalise(x, y, z, _MIN_Z))
        u = self.K[0, 0] * x_d + self.K[0, 2]
        if self.K[0, 1]:
            u = u + self.K[0, 1] * y_d
        return u, self.K[1, 1] * y_d + self.K[1, 2]

    def rays(self, uv: Any) -> NDArray[np.float64]:
        """Unit directions in the camera frame of pixels, shape (..., 3). Inverse of `project`."""
        uv = np.asarray(uv, dtype=np.float64)
        u, v = uv.reshape(-1, 2).T
        y_d = (v - self.K[1, 2]) / self.K[1, 1]
        x_d = (u - self.K[0, 2] - self.K[0, 1] * y_d) / self.K[0, 0]
        rays = self._lens.direction(*self._lens.undistort(x_d, y_d))
        return rays.reshape(*uv.shape[:-1], 3)

    @property
    def is_pinhole(self) -> bool:
        """Whether the lens distorts nothing, so that straight lines stay straight."""
        return self._lens.is_identity

    @cached_property
    def _lens(self) -> Distortion:
        if self.distortion_model == "equidistant" and self.distortion:
            return Equidistant(tuple(self.distortion))
        return Rational(tuple(self.distortion))


def _intrinsics_problems(camera: CameraModel) -> list[str]:
    K = camera.K
    problems = []
    if camera.width < 1 or camera.height < 1:
        problems.append(
            f"width and height must be positive, got {camera.width} x {camera.height}. "
            "Pass the size of the image that K belongs to."
        )
    if K.shape != (3, 3):
        return [*problems, f"K must have shape (3, 3), got {K.shape}. Pass the 3x3 intrinsics."]
    if not np.isfinite(K).all():
        problems.append(f"K must be finite, got {K.tolist()}. Calibrate the camera.")
    elif K[0, 0] <= 0 or K[1, 1] <= 0:
        problems.append(
            f"focal lengths K[0, 0] and K[1, 1] must be positive, got {K[0, 0]:g} and {K[1, 1]:g}. "
            "A driver sends 0 for an uncalibrated camera: calibrate it, or load its calibration."
        )
    elif not np.array_equal(K[[1, 2, 2, 2], [0, 0, 1, 2]], [0, 0, 0, 1]):
        problems.append(
            f"K must have the rows (fx, s, cx), (0, fy, cy), (0, 0, 1), got {K.tolist()}. "
            "Pass intrinsics, not a projection matrix or a transposed one."
        )
    return problems


def _distortion_problems(camera: CameraModel) -> list[str]:
    model, coefficients = camera.distortion_model, camera.distortion
    if not coefficients:
        return []
    if model not in _COEFFICIENT_COUNTS:
        return [
            f"distortion_model must be one of {', '.join(_COEFFICIENT_COUNTS)}, got {model!r}. "
            "Rectify the image first and pass no coefficients."
        ]
    counts = _COEFFICIENT_COUNTS[model]
    if len(coefficients) not in counts:
        expected = " or ".join(str(count) for count in counts)
        return [
            f"{model} needs {expected} distortion coefficients (or none), got "
            f"{len(coefficients)}. Check distortion_model and D of the calibration."
        ]
    if not np.isfinite(coefficients).all():
        return [f"distortion coefficients must be finite, got {coefficients}. Calibrate again."]
    if any(coefficients[8:]):
        return [
            "thin-prism and tilt terms (coefficients 9 to 14) must be 0, got "
            f"{coefficients[8:]}. Rectify the image first and pass no coefficients."
        ]
    return []
