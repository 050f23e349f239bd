"""Fits of variances: what predicts the size of an error, apart from the error itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_RIDGE = 10.0
"""Views of a typical slope's worth of doubt: few views give no slopes, a thousand give theirs."""
_MAX_ITERATIONS = 100
_LEAST_SPREAD = 5e-3
"""Of a trait over views: one that hardly varies explains nothing, whatever slope would fit."""


def fit_variance(variance: FloatArray, error: FloatArray) -> tuple[float, float]:
    """Non-negative (scale, floor) with mean(error^2) = scale^2 * variance + floor^2.

    Fitted to the mean squared error in ten bins of equally many samples, so that few large errors
    do not decide; then scaled so that the total agrees.
    """
    order = np.argsort(variance)
    bins = np.array_split(order, 10)
    x = np.array([variance[b].mean() for b in bins])
    y = np.array([(error[b] ** 2).mean() for b in bins])
    weight = 1 / np.maximum(y, 1e-12)  # relative errors count alike in all bins
    A = np.stack([x, np.ones_like(x)], axis=1)
    slope, offset = np.linalg.lstsq(A * weight[:, None], y * weight, rcond=None)[0]
    if slope < 0:
        slope, offset = 0.0, 1.0
    elif offset < 0:
        slope, offset = 1.0, 0.0
    factor = (error**2).mean() / (slope * variance + offset).mean()
    return float(np.sqrt(slope * factor)), float(np.sqrt(offset * factor))


def fit_log_variance(
    groups: Sequence[tuple[FloatArray, int]], traits: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Logarithms of the factors on standard deviations that explain normalised squared errors.

    Maximises the likelihood of errors that are Gaussian with s = exp(offset_g + slopes . x) times
    the predicted standard deviation: minimises the sum of nees / s^2 + 2 k ln(s) over views and
    groups g with k degrees of freedom. It is convex, and at its minimum the mean of nees / s^2 is k
    in every group.

    Args:
        groups: normalised squared errors, shape (V,), and their degrees of freedom; all groups
            share the slopes.
        traits: of the V views, shape (V, P).

    Returns:
        Offsets (G,) and slopes (P,).

    Reference: Nelder and Lee, "Joint modelling of mean and dispersion", 1998: a gamma regression
    with logarithmic link.
    """
    num_views, num_traits = traits.shape
    num_groups = len(groups)
    spread = np.maximum(traits.std(axis=0), _LEAST_SPREAD)
    X = np.concatenate(
        [
            np.column_stack([np.tile(np.eye(num_groups)[g], (num_views, 1)), traits / spread])
            for g in range(num_groups)
        ]
    )
    y = np.concatenate([np.maximum(values, 1e-12) / dof for values, dof in groups])
    dof = np.repeat([float(dof) for _, dof in groups], num_views)
    ridge = np.diag([0.0] * num_groups + [_RIDGE] * num_traits)

    def cost(theta: FloatArray) -> float:
        exponent = X @ theta
        return float(dof @ (y * np.exp(-exponent) + exponent) + theta @ ridge @ theta / 2)

    theta = np.zeros(num_groups + num_traits)  # of variances
    theta[:num_groups] = [np.log(part.mean()) for part in np.split(y, num_groups)]
    for _ in range(_MAX_ITERATIONS):
        weight = dof * y * np.exp(-X @ theta)
        gradient = X.T @ (dof - weight) + ridge @ theta
        hessian = X.T @ (weight[:, None] * X) + ridge
        step = np.linalg.solve(hessian, gradient)
        length = 1.0
        while cost(theta - length * step) > cost(theta) and length > 1e-6:
            length /= 2
        theta = theta - length * step
        if np.abs(step).max() < 1e-9:
            break
    return theta[:num_groups] / 2, theta[num_groups:] / spread / 2
