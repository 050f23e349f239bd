"""Rotations and rigid transforms: angles between them, exponential map, composition."""

from __future__ import annotations

from jaxtyping import Float

from kp3d_core.geometry.arrays import Array, constant, matvec, namespace, transpose

_TINY = 1e-12
"""Keeps square roots differentiable at 0 and 180 degrees; shifts an angle by at most 2e-6 rad."""

_GENERATORS = [
    [0, 0, 0, 0, 0, -1, 0, 1, 0],
    [0, 0, 1, 0, 0, 0, -1, 0, 0],
    [0, -1, 0, 1, 0, 0, 0, 0, 0],
]
"""Cross product matrices of the unit vectors along x, y and z, row by row."""


def skew(vector: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3 3"]:
    """Matrix of the cross product: `skew(a) @ b == cross(a, b)`."""
    xp = namespace(vector)
    return xp.reshape(vector @ constant(_GENERATORS, vector), (*vector.shape, 3))


def exp_rotation(rotation_vector: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3 3"]:
    """Rotation matrix of an axis-angle vector [rad] (Rodrigues' formula)."""
    xp = namespace(rotation_vector)
    angle = xp.sqrt(xp.sum(rotation_vector**2, axis=-1) + _TINY)[..., None, None]
    K = skew(rotation_vector) / angle
    eye = constant([[1, 0, 0], [0, 1, 0], [0, 0, 1]], rotation_vector)  # on its device
    return eye + xp.sin(angle) * K + (1 - xp.cos(angle)) * (K @ K)


def rotation_angle(
    R_a: Float[Array, "*#batch 3 3"], R_b: Float[Array, "*#batch 3 3"]
) -> Float[Array, "*batch"]:
    """Angle of the rotation between two rotations [rad], 0..pi.

    Equals 2 asin(|R_a - R_b|_F / (2 sqrt 2)), evaluated as an arc tangent of half-angle sine and
    cosine: value and gradient stay finite at 0 and at 180 degrees.

    Reference: Suwajanakorn et al. 2018, section 3.2.
    """
    xp = namespace(R_a, R_b)
    sine_squared = xp.sum((R_a - R_b) ** 2, axis=(-2, -1)) / 8
    cosine_squared = xp.maximum(1 - sine_squared, xp.zeros_like(sine_squared))
    return 2 * xp.atan2(xp.sqrt(sine_squared + _TINY), xp.sqrt(cosine_squared + _TINY))


def make_transform(
    R: Float[Array, "*batch 3 3"], t: Float[Array, "*batch 3"]
) -> Float[Array, "*batch 4 4"]:
    """Homogeneous transform `T_a_b` from `R_a_b` and `t_a_b`."""
    xp = namespace(R, t)
    top = xp.concat([R, t[..., None]], axis=-1)
    last = xp.broadcast_to(constant([[0, 0, 0, 1]], top), (*top.shape[:-2], 1, 4))
    return xp.concat([top, last], axis=-2)


def invert_transform(T: Float[Array, "*batch 4 4"]) -> Float[Array, "*batch 4 4"]:
    """Inverse of a rigid transform: `T_b_a` from `T_a_b`."""
    R_inverse = transpose(T[..., :3, :3])
    return make_transform(R_inverse, -matvec(R_inverse, T[..., :3, 3]))


def transform_points(
    T_a_b: Float[Array, "*#batch 4 4"], points_b: Float[Array, "*#batch N 3"]
) -> Float[Array, "*batch N 3"]:
    """Coordinates in frame a of points given in frame b."""
    return points_b @ transpose(T_a_b[..., :3, :3]) + T_a_b[..., None, :3, 3]
