"""Random changes of the camera behind a rendered view: roll, zoom and aim, as a robot's crops have.

A rotation about the optical axis and a change of focal length or principal point need no new
rendering: they move pixels, whatever the depth. Views are stored larger than the network's input,
so that they can be warped without loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from kp3d_core.data.draws import BatchDraws
from kp3d_core.geometry.camera import ndc_intrinsics, pixel_intrinsics


@dataclass(frozen=True)
class Reframing:
    """How often and how far the camera of a training view is changed."""

    probability: float = 0.0
    """Share of views that are changed; the others are only shrunk to the network's input."""
    roll_deg: float = 30.0
    """Largest roll to either side [deg]."""
    zoom_min: float = 0.8
    """Smallest factor on the focal length; the factor is log-uniform."""
    zoom_max: float = 1.25
    """Largest factor on the focal length."""
    shift: float = 0.2
    """Largest movement of the image content along each axis [NDC]; cuts objects off at the edge."""
    box_probability: float = 0.0
    """Share of the changed views that are framed as a detector's box is: the box around the
    silhouette in the middle, its larger side as large as a first look makes it. `zoom_min`,
    `zoom_max` and `shift` do not apply to them."""
    box_fill: float = 0.649
    """Length of the box's larger side, as a share of the image's. A first look takes it for
    1.7 model units, `inference.DetectorSettings.region_extent`: 1.7 x focal length / distance."""
    box_jitter: float = 0.25
    """Largest relative error of the box's size, and of its place as a share of its size."""

    def __post_init__(self) -> None:
        """Report impossible settings."""
        for name in ("probability", "box_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"reframing.{name} must be in [0, 1], got {getattr(self, name)}.")
        if not 0 < self.zoom_min <= self.zoom_max:
            raise ValueError(
                "reframing must have 0 < zoom_min <= zoom_max, "
                f"got {self.zoom_min} and {self.zoom_max}."
            )


def shrink(rgba: UInt8[Tensor, "num H W 4"], size: int) -> UInt8[Tensor, "num size size 4"]:
    """Area-average square views to `size`; the views themselves if they have that size."""
    if rgba.shape[1] == size:
        return rgba
    small = F.interpolate(rgba.permute(0, 3, 1, 2).float(), (size, size), mode="area")
    return small.round().to(torch.uint8).permute(0, 2, 3, 1)


def reframe(
    rgba: UInt8[Tensor, "num H W 4"],
    K: Float[Tensor, "num 3 3"],
    T_camera_object: Float[Tensor, "num 4 4"],
    roll: Float[Tensor, " num"],
    zoom: Float[Tensor, " num"],
    shift: Float[Tensor, "num 2"],
    size: int,
) -> tuple[UInt8[Tensor, "num size size 4"], Tensor, Tensor]:
    """Views of cameras that are rolled, zoomed and aimed elsewhere.

    A point at NDC p of the old image appears at zoom R(roll) p + shift in the new one. With square
    pixels that is the image of a camera turned by `roll` about its optical axis, with the focal
    length times `zoom` and a moved principal point.

    Args:
        rgba: square views, H = W.
        K: their intrinsics [px of `rgba`], square pixels, no skew.
        T_camera_object: their poses.
        roll: positive turns the image clockwise [rad].
        zoom: factors on the focal length.
        shift: right and down [NDC].
        size: side of the new views [px].

    Returns:
        New views, their intrinsics [px of the new views] and poses.
    """
    source_size = rgba.shape[1]
    cos, sin = roll.cos(), roll.sin()
    R = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    back = R.mT / zoom[:, None, None]  # from new NDC to old
    theta = torch.cat([back, -back @ shift[..., None]], dim=-1)
    # Sampled at the source's density and averaged: no aliasing, however much smaller `size` is.
    density = max(1, round(source_size / size))
    grid = F.affine_grid(theta, [len(rgba), 4, density * size, density * size], align_corners=False)
    dense = F.grid_sample(rgba.permute(0, 3, 1, 2).float(), grid, align_corners=False)
    warped = F.avg_pool2d(dense, density).round().to(torch.uint8).permute(0, 2, 3, 1)

    K_ndc = ndc_intrinsics(K, (source_size, source_size))
    K_new = K_ndc.clone()
    K_new[:, :2, :2] = zoom[:, None, None] * K_ndc[:, :2, :2]
    K_new[:, :2, 2] = (zoom[:, None, None] * R @ K_ndc[:, :2, 2:])[..., 0] + shift
    roll_matrix = torch.eye(4, dtype=T_camera_object.dtype, device=roll.device).repeat(
        len(rgba), 1, 1
    )
    roll_matrix[:, :2, :2] = R
    return warped, pixel_intrinsics(K_new, (size, size)), roll_matrix @ T_camera_object


def silhouette_boxes(
    alpha: UInt8[Tensor, "num H W"],
) -> tuple[Float[Tensor, "num 2"], Float[Tensor, "num 2"]]:
    """Centre and size (width, height) of the box around each silhouette [NDC].

    The whole image where there is none.
    """
    limits = []
    for axis in (2, 1):  # columns, rows
        covered = (alpha > 127).any(dim=3 - axis)
        length = covered.shape[1]
        first = covered.int().argmax(1)
        last = length - covered.flip(1).int().argmax(1)
        empty = ~covered.any(1)
        first, last = first.masked_fill(empty, 0), last.masked_fill(empty, length)
        limits.append(torch.stack([first, last], -1).float() * 2 / length - 1)
    edges = torch.stack(limits, dim=1)
    return edges.mean(-1), edges[..., 1] - edges[..., 0]


def _box_framing(
    rgba: UInt8[Tensor, "num H W 4"],
    roll: Float[Tensor, " num"],
    settings: Reframing,
    draws: BatchDraws,
) -> tuple[Tensor, Tensor]:
    """Zoom and shift that show a detector's box of each object, with the detector's errors."""
    centre, size = silhouette_boxes(rgba[..., 3])
    larger = size.amax(1)
    jitter = settings.box_jitter
    fill = 2 * settings.box_fill * (1 + draws.uniform(low=-jitter, high=jitter))
    zoom = fill / larger
    cos, sin = roll.cos(), roll.sin()
    R = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    turned = (R @ centre[..., None])[..., 0]
    miss = size * draws.uniform(2, low=-jitter, high=jitter)
    return zoom, zoom[:, None] * (miss - turned)


def random_reframe(
    rgba: UInt8[Tensor, "num H W 4"],
    K: Float[Tensor, "num 3 3"],
    T_camera_object: Float[Tensor, "num 4 4"],
    size: int,
    settings: Reframing,
    draws: BatchDraws,
) -> tuple[UInt8[Tensor, "num size size 4"], Tensor, Tensor]:
    """Views at the network's input size, a random share of them through changed cameras.

    `draws` has one row for each view and lives on their device.
    """
    source_size = rgba.shape[1]
    images = shrink(rgba, size)
    K_small = pixel_intrinsics(ndc_intrinsics(K, (source_size, source_size)), (size, size))
    chosen, some = draws.choose(settings.probability)
    if len(chosen) == 0:
        return images, K_small, T_camera_object
    roll_deg = some.uniform(low=-settings.roll_deg, high=settings.roll_deg)
    zoom = torch.exp(
        some.uniform(low=math.log(settings.zoom_min), high=math.log(settings.zoom_max))
    )
    shift = some.uniform(2, low=-settings.shift, high=settings.shift)
    boxed, few = some.choose(settings.box_probability)
    if len(boxed):
        zoom_boxed, shift_boxed = _box_framing(
            rgba[chosen[boxed]], torch.deg2rad(roll_deg[boxed]), settings, few
        )
        zoom = zoom.index_copy(0, boxed, zoom_boxed)
        shift = shift.index_copy(0, boxed, shift_boxed)
    warped, K_warped, T_warped = reframe(
        rgba[chosen],
        K[chosen],
        T_camera_object[chosen],
        roll=torch.deg2rad(roll_deg).to(K),
        zoom=zoom.to(K),
        shift=shift.to(K),
        size=size,
    )
    return (
        images.index_copy(0, chosen, warped),
        K_small.index_copy(0, chosen, K_warped),
        T_camera_object.index_copy(0, chosen, T_warped),
    )
