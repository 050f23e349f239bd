"""Objects that look alike after a turn about their upright axis (z): one pose of many is chosen.

A pose of such an object is known up to the turns S that leave it as it is: R S is as right as R.
`canonical_pose` chooses one by what the image shows, so that whatever is learned or measured with
it is right for all; `nearest_pose` chooses by another pose, so that frames keep still; and
`rotation_error` counts no turn that cannot be seen.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from kp3d_core.geometry.arrays import Array, namespace, transpose
from kp3d_core.geometry.rotation import rotation_angle

SYMMETRIES = ("none", "two-fold", "full")
"""No turn about z leaves the object as it is; a half turn does; every turn does."""
UNKNOWN_VARIANCE = 1e6
"""Variance [rad^2] of a rotation about an axis about which there is none to be known: so large
that no use can be made of the angle, and finite, as sums and inverses of covariances need it."""
_TINY = 1e-9


def has_front(symmetry: str) -> bool:
    """Whether front and back are different."""
    return symmetry == "none"


def canonical_pose(
    T_camera_object: Float[Array, "*batch 4 4"], symmetry: str
) -> Float[Array, "*batch 4 4"]:
    """The pose, of all that are equally right, that the image tells.

    Full: the y axis points as far to the right in the image as it can; so x points towards the
    camera, and mirror images and turned cameras see the same object. Two-fold: the x axis points to
    the right. There, and only there, the choice changes at once: where the object is seen end-on.
    """
    if symmetry == "none":
        return T_camera_object
    xp = namespace(T_camera_object)
    right = T_camera_object[..., 0, :2]  # of the object's x and y axis
    if symmetry == "two-fold":
        ones = xp.ones_like(right[..., 0])
        return turn_about_z(T_camera_object, xp.where(right[..., 0] < 0, -ones, ones), 0 * ones)
    length = xp.sqrt(right[..., 0] ** 2 + right[..., 1] ** 2)
    is_told = length > _TINY
    safe = xp.where(is_told, length, xp.ones_like(length))
    cosine = xp.where(is_told, right[..., 1] / safe, xp.ones_like(length))
    sine = xp.where(is_told, -right[..., 0] / safe, xp.zeros_like(length))
    return turn_about_z(T_camera_object, cosine, sine)


def nearest_pose(
    T_a_object: Float[Array, "*batch D D"], R_like: Float[Array, "*#batch 3 3"], symmetry: str
) -> Float[Array, "*batch D D"]:
    """The pose or rotation, of all that are equally right, that is turned least from another."""
    if symmetry == "none":
        return T_a_object
    xp = namespace(T_a_object, R_like)
    # trace(R_like^T R Rz(angle)) = angle's cosine * c + its sine * s + what does not depend on it
    M = transpose(R_like) @ T_a_object[..., :3, :3]
    c, s = M[..., 0, 0] + M[..., 1, 1], M[..., 0, 1] - M[..., 1, 0]
    ones = xp.ones_like(c)
    if symmetry == "two-fold":
        return turn_about_z(T_a_object, xp.where(c < 0, -ones, ones), 0 * ones)
    length = xp.sqrt(c**2 + s**2)
    is_told = length > _TINY
    safe = xp.where(is_told, length, ones)
    return turn_about_z(
        T_a_object, xp.where(is_told, c / safe, ones), xp.where(is_told, s / safe, 0 * ones)
    )


def rotation_error(
    R_est: Float[Array, "*#batch 3 3"], R_true: Float[Array, "*#batch 3 3"], symmetry: str
) -> Float[Array, "*batch"]:
    """Smallest angle [rad] between an estimate and any rotation that is as right as the true one.

    Args:
        R_est: takes the object to any frame.
        R_true: likewise. Of a rotation from view 0 to view 1, R_est is `R_1_0_est @ R_0_object`,
            and R_true is `R_1_object`.
        symmetry: of the object.
    """
    if symmetry == "none":
        return rotation_angle(R_est, R_true)
    xp = namespace(R_est, R_true)
    shape = np.broadcast_shapes(R_est.shape, R_true.shape)
    R_est, R_true = xp.broadcast_to(R_est, shape), xp.broadcast_to(R_true, shape)
    return rotation_angle(R_est, nearest_pose(R_true, R_est, symmetry))


def turn_about_z(
    T_a_object: Float[Array, "*batch D D"],
    cosine: Float[Array, "*batch"],
    sine: Float[Array, "*batch"],
) -> Float[Array, "*batch D D"]:
    """The pose (D = 4) or rotation (D = 3) of the object turned about its own z axis: T Rz."""
    xp = namespace(T_a_object)
    c, s = cosine[..., None], sine[..., None]
    x, y = T_a_object[..., 0], T_a_object[..., 1]
    turned = xp.stack([c * x + s * y, c * y - s * x], axis=-1)
    return xp.concat([turned, T_a_object[..., 2:]], axis=-1)


def free_rotation(
    covariance: NDArray[np.float64], axis: NDArray[np.float64], variance: float = UNKNOWN_VARIANCE
) -> NDArray[np.float64]:
    """Covariance of a pose whose rotation about an axis is not known, and tells nothing of it.

    Args:
        covariance: (6, 6), order x, y, z, rotX, rotY, rotZ about fixed axes.
        axis: unit vector (3,) in the same axes.
        variance: of the rotation about it [rad^2].
    """
    keep = np.eye(6)
    keep[3:, 3:] -= np.outer(axis, axis)
    result = keep @ covariance @ keep
    result[3:, 3:] += variance * np.outer(axis, axis)
    return result
