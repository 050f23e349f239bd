"""Weighted rigid alignment of point sets (orthogonal Procrustes) with a gradient always finite.

The rotation R that maximises trace(R^T M) has the derivative
`d_omega = (tr(S) I - S)^-1 d_a`, S = R^T M, a = vee(S - S^T), in the frame of R. It needs sums of
singular values, s_i + s_j, never their differences: equal singular values are harmless, where
differentiating the SVD itself divides by zero.

Reference: Schoenemann, Psychometrika 31(1), 1966 (the problem); Umeyama, PAMI 13(4), 1991 (the sign
of the determinant); the derivative follows from the condition that S is symmetric at the optimum.
"""

from __future__ import annotations

from jaxtyping import Float

from kp3d_core.geometry.arrays import (
    Array,
    det,
    is_differentiable,
    matvec,
    namespace,
    stop_gradient,
    svd,
    transpose,
)
from kp3d_core.geometry.rotation import skew

_SMALLEST_GAP = 1e-3
"""Bound of s_i + s_j relative to s_1 in the gradient only: nearly collinear points get a damped
gradient instead of an exploding one."""


def nearest_rotation(M: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3 3"]:
    """Proper rotation R that maximises trace(R^T M), differentiable for every M.

    With M = U S V^T it is R = U diag(1, 1, det(U V^T)) V^T. A rank-deficient M still gives a
    finite proper rotation.
    """
    xp = namespace(M)
    U, s, Vh = svd(stop_gradient(M))
    sign = det(U @ Vh)[..., None]
    sign = xp.where(sign < 0, -xp.ones_like(sign), xp.ones_like(sign))
    s = xp.concat([s[..., :2], s[..., 2:] * sign], axis=-1)
    U = xp.concat([U[..., :2], U[..., 2:] * sign[..., None]], axis=-1)
    R = U @ Vh
    if not is_differentiable(M):
        return R

    # One Newton step from the optimum: zero in value, exact in its derivative with respect to M.
    S = transpose(R) @ M
    a = xp.stack(
        [
            S[..., 2, 1] - S[..., 1, 2],
            S[..., 0, 2] - S[..., 2, 0],
            S[..., 1, 0] - S[..., 0, 1],
        ],
        axis=-1,
    )
    gap = xp.sum(s, axis=-1, keepdims=True) - s
    floor = _SMALLEST_GAP * s[..., :1] + 1e-12
    gap = xp.where(gap > floor, gap, floor)
    omega = matvec(transpose(Vh), matvec(Vh, a) / gap)
    step = omega - stop_gradient(omega)  # rounding in the value must not leave SO(3)
    return R + R @ skew(step)


def weighted_procrustes(
    source: Float[Array, "*#batch N 3"],
    target: Float[Array, "*#batch N 3"],
    weights: Float[Array, "*#batch N"] | None = None,
) -> tuple[Float[Array, "*batch 3 3"], Float[Array, "*batch 3"]]:
    """Rotation and translation with least weighted squares of `R @ source_i + t - target_i`.

    Args:
        source: points in frame b.
        target: the same points in frame a, same unit.
        weights: non-negative, any scale; equal weights if None.

    Returns:
        `R_a_b` and `t_a_b`.
    """
    xp = namespace(source, target)
    if weights is None:
        weights = xp.ones_like(source[..., 0])
    weights = (weights / xp.sum(weights, axis=-1, keepdims=True))[..., None]
    source_mean = xp.sum(weights * source, axis=-2)
    target_mean = xp.sum(weights * target, axis=-2)
    M = transpose(weights * (target - target_mean[..., None, :])) @ (
        source - source_mean[..., None, :]
    )
    R = nearest_rotation(M)
    return R, target_mean - matvec(R, source_mean)
