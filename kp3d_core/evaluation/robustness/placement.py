"""Cameras that show an object in an asked way: size, place, roll, cut off by the image's border.

The camera looks at the object from a direction, at the distance that gives the asked size, and is
then turned about its centre, by which the object moves in the image and shows no other side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.cameras import look_along, roll_matrix
from kp3d_core.geometry.camera import intrinsics_from_fov, project
from kp3d_core.geometry.rotation import exp_rotation, transform_points
from kp3d_core.rendering.packing import PackedMesh
from kp3d_core.rendering.rasterizer import render

FloatArray = NDArray[np.float64]

WIDTH, HEIGHT = 640, 480
"""Size of the image that a robot's camera takes [px]."""

_MARGIN_PX = 2.0
"""Least distance between an object that is not cut off and the image's border."""
_ROUNDS = 8
"""Corrections of distance and of place; tests show what is left after them."""


@dataclass(frozen=True)
class ViewSpec:
    """What a view shall look like; a sweep changes one value of it."""

    azimuth_deg: float
    """Direction to the camera about the object's z axis, 0 = in front."""
    elevation_deg: float
    """Direction to the camera above the object's xy plane."""
    place: tuple[float, float]
    """Where in the free room of the image the object is, -1..1 to the right and down."""
    side: int = 0
    """Border that cuts the object off: 0 left, 1 right, 2 top, 3 bottom."""
    fov_deg: float = 45.0
    """Full horizontal field of view of the image; the distance follows from it and the size."""
    size_px: float = 240.0
    """Longer side of the box around the whole silhouette in the middle of the image."""
    roll_deg: float = 0.0
    """Roll about the line of sight that the detector is not told of."""
    truncated_percent: float = 0.0
    """Share of the silhouette outside the image."""
    occluded_percent: float = 0.0
    """Share of the silhouette inside the image that is hidden."""


@dataclass(frozen=True, eq=False)
class Placement:
    """A camera of the robot's image and where it sees the object."""

    K: FloatArray
    """Intrinsics [px], (3, 3)."""
    T_camera_object: FloatArray
    """(4, 4) [model units]."""
    down_camera: FloatArray
    """Gravity in the camera frame, as the robot believes it: without `roll_deg`."""


def place(mesh: PackedMesh, spec: ViewSpec) -> Placement:
    """Camera for a view.

    Args:
        mesh: the object [model units].
        spec: what the view shall look like; an object too large for the image is shown as large
            as it fits.
    """
    K = intrinsics_from_fov(math.radians(spec.fov_deg), WIDTH, HEIGHT)
    azimuth, elevation = math.radians(spec.azimuth_deg), math.radians(spec.elevation_deg)
    horizontal = math.cos(elevation)
    to_camera = np.array(
        [
            horizontal * math.cos(azimuth),
            horizontal * math.sin(azimuth),
            math.sin(elevation),
        ]
    )
    R_upright = look_along(-to_camera)
    T = np.eye(4)
    T[:3, :3] = roll_matrix(math.radians(spec.roll_deg)) @ R_upright
    T[2, 3] = _distance(mesh, T[:3, :3], K, spec.size_px)
    target = _target_inside(mesh, T, K, spec.place)
    if spec.truncated_percent > 0:
        target = _target_cut_off(mesh, T, K, spec, target)
    turn = _turn_to(target, K)
    down = turn[:3, :3] @ R_upright @ [0.0, 0.0, -1.0]
    return Placement(K, turn @ T, down)


def silhouette_box(mesh: PackedMesh, T: FloatArray, K: FloatArray) -> FloatArray:
    """Left, upper, right and lower edge of the object in the image, cut off by no border [px]."""
    uv = project(transform_points(T, mesh.vertices), K)
    return np.concatenate([uv.min(0), uv.max(0)])


def share_outside(rays: FloatArray, weights: FloatArray, R: FloatArray, K: FloatArray) -> float:
    """Share of a silhouette outside the image after the camera turned by R.

    Args:
        rays: directions of the silhouette's pixels before the turn, z = 1, (P, 3).
        weights: solid angle of each of them, up to a factor, (P,).
        R: rotation of camera coordinates, (3, 3).
        K: intrinsics of the image [px].
    """
    turned = rays @ R.T
    # A solid angle covers an area of the image plane that grows with 1 / cos^3 off the axis.
    area = weights * (np.linalg.norm(turned, axis=1) / turned[:, 2].clip(1e-6)) ** 3
    uv = project(turned, K)
    inside = ((uv > -0.5) & (uv < (WIDTH - 0.5, HEIGHT - 0.5))).all(axis=1) & (turned[:, 2] > 0)
    return 1 - float(area[inside].sum() / area.sum())


def _distance(mesh: PackedMesh, R: FloatArray, K: FloatArray, size_px: float) -> float:
    """Distance at which the longer side of the object's box is `size_px`, if it fits so large."""
    T = np.eye(4)
    T[:3, :3] = R
    distance = 2 * K[0, 0] / size_px
    for _ in range(_ROUNDS):
        T[2, 3] = max(distance, 1.8)  # outside the object: its half diagonal is below 1.74
        left, top, right, bottom = silhouette_box(mesh, T, K)
        width, height = right - left, bottom - top
        room = 2 * _MARGIN_PX + 1
        fitting = max(width / (WIDTH - room), height / (HEIGHT - room))
        distance = T[2, 3] * max(max(width, height) / size_px, fitting)
    return float(distance)


def _target_inside(
    mesh: PackedMesh, T: FloatArray, K: FloatArray, share: tuple[float, float]
) -> FloatArray:
    """Pixel of the object's origin so that its box has the asked place in the image's free room."""
    middle = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    target = middle.copy()
    for _ in range(_ROUNDS):
        box = silhouette_box(mesh, _turn_to(target, K) @ T, K)
        half = (box[2:] - box[:2]) / 2
        room = np.maximum(middle - _MARGIN_PX - half, 0)
        target = target + middle + room * share - (box[:2] + box[2:]) / 2
    return target


def _target_cut_off(
    mesh: PackedMesh, T: FloatArray, K: FloatArray, spec: ViewSpec, target: FloatArray
) -> FloatArray:
    """Pixel of the object's origin so that the asked share is beyond a border; by bisection."""
    mask = render(mesh, K, T, WIDTH, HEIGHT, samples=1).mask
    rows, columns = np.nonzero(mask)
    pixels = np.column_stack([columns, rows, np.ones(len(rows))])
    rays: FloatArray = np.asarray(pixels @ np.linalg.inv(K).T, np.float64)
    weights = 1 / np.linalg.norm(rays, axis=1) ** 3
    axis, positive = spec.side // 2, spec.side % 2 == 1
    middle = (WIDTH - 1, HEIGHT - 1)[axis] / 2
    limits = [middle, middle + (middle + spec.size_px) * (1 if positive else -1)]
    result = target.copy()
    for _ in range(20):
        result[axis] = sum(limits) / 2
        outside = share_outside(rays, weights, _turn_to(result, K)[:3, :3], K)
        limits[int(100 * outside > spec.truncated_percent)] = result[axis]
    return result


def _turn_to(target: FloatArray, K: FloatArray) -> FloatArray:
    """Smallest rotation of the camera that moves what is on its axis to a pixel, (4, 4)."""
    ray = np.linalg.solve(K, np.append(target, 1.0))
    axis = np.cross([0.0, 0.0, 1.0], ray / np.linalg.norm(ray))
    sine = float(np.linalg.norm(axis))
    turn = np.eye(4)
    if sine > 1e-12:
        turn[:3, :3] = exp_rotation(axis / sine * math.asin(sine))
    return turn
