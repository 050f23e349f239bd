"""Smoothing of a stream of poses that have covariances."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.rotation import exp_rotation, make_transform
from kp3d_core.geometry.symmetry import free_rotation

FloatArray = NDArray[np.float64]

_GATE = 40.0
"""Squared Mahalanobis distance in 6 dimensions that one good measurement in two million exceeds."""
_PATIENCE = 3
"""So many measurements in a row beyond the gate are left out, then the filter starts anew."""
_LONGEST_PAUSE_S = 1.0


class PoseFilter:
    """Constant-velocity Kalman filter on position and rotation.

    An object that moves and turns evenly is followed without lag, and nothing is delayed: each
    answer is for the time of its measurement. After a change of velocity the answer catches up
    with the time constant `time_constant_s`.

    State: position, rotation, velocity, rate of rotation; errors of rotation are small rotations
    about the fixed axes of the frame, as in the covariances of poses.

    Reference: Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and Navigation,
    2001, section 6.2.2 (white-noise acceleration).
    """

    def __init__(
        self, acceleration: float, angular_acceleration: float, symmetry: str = "none"
    ) -> None:
        """Set how lively the object is.

        Args:
            acceleration: typical change of velocity within a second [m/s], the root of the power
                spectral density of the acceleration.
            angular_acceleration: the same of the rate of rotation [rad/s].
            symmetry: of the object about z. A rotation that tells nothing is not smoothed as one
                that tells little: its huge variance would spread to where the axis turns to. It is
                held like the others, and told as unknown.
        """
        self._symmetry = symmetry
        self.acceleration = acceleration
        self.angular_acceleration = angular_acceleration
        self._time_s: float | None = None
        self._left_out = 0
        self._T = np.eye(4)
        self._velocity = np.zeros(6)
        self._P = np.eye(12)
        self.time_constant_s = 0.0
        """Time in which an error of position after a change of velocity falls to 1/e [s]; depends
        on the rate and the covariance of the measurements."""

    def update(
        self, time_s: float, T: FloatArray, covariance: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Pose and covariance at the time of a measurement.

        Args:
            time_s: when it was taken [s]; after a pause or a jump back the filter starts anew.
            T: measured pose, shape (4, 4).
            covariance: shape (6, 6), order x, y, z, rotX, rotY, rotZ about fixed axes.
        """
        if self._symmetry != "full":
            return self._update(time_s, T, covariance)
        seen = free_rotation(covariance, T[:3, 2], 0.0)
        held = free_rotation(covariance, T[:3, 2], float(np.trace(seen[3:, 3:])) / 2)
        T, covariance = self._update(time_s, T, held)
        return T, free_rotation(covariance, T[:3, 2])

    def _update(
        self, time_s: float, T: FloatArray, covariance: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        dt = None if self._time_s is None else time_s - self._time_s
        if dt is None or not 0 <= dt < _LONGEST_PAUSE_S:
            return self._start(time_s, T, covariance)
        self._predict(dt)
        self._time_s = time_s
        innovation = np.concatenate([T[:3, 3] - self._T[:3, 3], _log(T[:3, :3], self._T[:3, :3])])
        S = self._P[:6, :6] + covariance
        if innovation @ np.linalg.solve(S, innovation) > _GATE:
            self._left_out += 1
            if self._left_out >= _PATIENCE:
                return self._start(time_s, T, covariance)
            return self._T.copy(), self._P[:6, :6].copy()
        self._left_out = 0
        self._correct(innovation, S, covariance)
        if dt > 0:
            density = float(np.trace(covariance[:3, :3])) / 3 * dt
            self.time_constant_s = (density / self.acceleration**2) ** 0.25
        return self._T.copy(), self._P[:6, :6].copy()

    def _start(
        self, time_s: float, T: FloatArray, covariance: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        self._time_s, self._left_out = time_s, 0
        self._T, self._velocity = T.copy(), np.zeros(6)
        self._P = np.zeros((12, 12))
        self._P[:6, :6] = covariance
        self._P[6:, 6:] = np.diag(self._noise())  # after a second of rest it moves so fast
        return T.copy(), covariance.copy()

    def _noise(self) -> FloatArray:
        return np.repeat([self.acceleration**2, self.angular_acceleration**2], 3)

    def _predict(self, dt: float) -> None:
        turn = exp_rotation(self._velocity[3:] * dt)
        self._T[:3, 3] += self._velocity[:3] * dt
        self._T[:3, :3] = turn @ self._T[:3, :3]
        F = np.eye(12)
        F[3:6, 3:6] = turn
        F[:6, 6:] = dt * np.eye(6)
        q = np.diag(self._noise())
        Q = np.block([[q * dt**3 / 3, q * dt**2 / 2], [q * dt**2 / 2, q * dt]])
        self._P = F @ self._P @ F.T + Q

    def _correct(self, innovation: FloatArray, S: FloatArray, covariance: FloatArray) -> None:
        gain = np.linalg.solve(S, self._P[:6]).T
        step = gain @ innovation
        R = exp_rotation(step[3:6]) @ self._T[:3, :3]
        self._T = make_transform(R, self._T[:3, 3] + step[:3])
        self._velocity = self._velocity + step[6:]
        # Joseph's form keeps the covariance symmetric and positive.
        keep = np.eye(12)
        keep[:, :6] -= gain
        self._P = keep @ self._P @ keep.T + gain @ covariance @ gain.T


def _log(R_a: FloatArray, R_b: FloatArray) -> FloatArray:
    """Rotation vector about fixed axes that takes `R_b` to `R_a` [rad]."""
    return np.asarray(cv2.Rodrigues(R_a @ R_b.T)[0], np.float64).ravel()
