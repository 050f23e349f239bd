"""Losses of single views, against known places of the keypoints on their object.

Two views that agree with the same places agree with each other: what is lost here is lost for their
relative pose, in half the time that pairs take.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from kp3d_core.geometry.camera import unproject
from kp3d_core.geometry.procrustes import weighted_procrustes
from kp3d_core.geometry.rotation import invert_transform, rotation_angle, transform_points
from kp3d_core.models.refiner import Reading

_SMALL_DISTANCE = 0.02
"""RMS distance [model units] below which keypoints are as good as in place."""


class PlaceErrors(NamedTuple):
    """Errors of M views."""

    distance: Float[Tensor, " M"]
    """RMS distance of the keypoints from their places, lifted with the true distance [model
    units]. Not its square: hard views must not decide everything."""
    angle: Float[Tensor, " M"]
    """Of the rotation that fits the places to the keypoints [rad]. The keypoints are lifted with
    the distance that the size tells, right or wrong, as they will be."""
    log_scale: Float[Tensor, " M"]
    """Of the logarithm of the apparent size."""


def place_errors(
    reading: Reading,
    places: Float[Tensor, "M N 3"],
    K_ndc: Float[Tensor, "M 3 3"],
    T_camera_object: Float[Tensor, "M 4 4"],
    log_scale: Float[Tensor, " M"],
) -> PlaceErrors:
    """Errors of what is read in M views.

    Args:
        reading: in the images.
        places: of the keypoints in the object frame [model units].
        K_ndc: intrinsics that project to NDC.
        T_camera_object: true poses.
        log_scale: true logarithm of the apparent size.
    """
    offset = keypoints_in_object(reading, K_ndc, T_camera_object) - places
    distance = (offset.square().sum(-1).mean(-1) + _SMALL_DISTANCE**2).sqrt()
    log_error = reading.log_scale - log_scale
    own_distance = T_camera_object[:, 2, 3] * (-log_error).exp()
    seen = unproject(reading.uv, own_distance[:, None] + reading.depth, K_ndc)
    R_camera_object, _ = weighted_procrustes(places, seen)
    angle = rotation_angle(R_camera_object, T_camera_object[:, :3, :3])
    return PlaceErrors(distance, angle, log_error)


def keypoints_in_object(
    reading: Reading, K_ndc: Float[Tensor, "M 3 3"], T_camera_object: Float[Tensor, "M 4 4"]
) -> Float[Tensor, "M N 3"]:
    """Keypoints in the object frame, lifted with the true distance [model units]."""
    depth = T_camera_object[:, 2, 3, None] + reading.depth
    keypoints_camera = unproject(reading.uv, depth, K_ndc)
    return transform_points(invert_transform(T_camera_object), keypoints_camera)
