"""Smooth random changes of a shape that keep the symmetry of its kind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LARGEST = 0.18
"""Displacements up to this keep the map one to one: no derivative of one coordinate exceeds pi
times it, so the Jacobian's norm stays under sqrt(3) pi times it, under 1."""
_ORDER = 2
"""Half waves over the object, at most: taper, bend, bulge, shear, and their products."""


def deformed(
    points: FloatArray, largest: float, symmetry: str, rng: np.random.Generator
) -> FloatArray:
    """Points moved by a random smooth field, a sum of cosines along the three axes.

    Left stays the mirror image of right. An object that a half turn about z does not change, or
    that no turn changes, stays such a one.

    Args:
        points: (M, 3) in the object frame [model units].
        largest: that no point is moved farther along an axis [model units], at most `LARGEST`.
        symmetry: of the category, one of `symmetry.SYMMETRIES`.
        rng: decides the field.
    """
    if not 0 <= largest <= LARGEST:
        raise ValueError(f"A deformation must be in [0, {LARGEST}], got {largest}.")
    orders = np.arange(_ORDER + 1)
    waves = np.cos(orders * np.pi / 2 * (points[..., None] + 1))  # (M, 3, K)
    size = largest * rng.random(3)
    if symmetry == "full":
        shares = _shares(orders > 0, rng, 2)
        along = waves[:, 2] @ shares.T  # (M, 2): of the radius, of the height
        radial = 1 + size[0] * along[:, :1]
        return np.concatenate([points[:, :2] * radial, points[:, 2:] + size[2] * along[:, 1:]], 1)
    i, j, k = np.meshgrid(orders, orders, orders, indexing="ij")
    kept = np.stack([j % 2 == 0, j % 2 == 1, j % 2 == 0])
    if symmetry == "two-fold":
        kept &= np.stack([(i + j) % 2 == 1, (i + j) % 2 == 1, (i + j) % 2 == 0])
    kept &= (i + j + k) > 0
    weight = kept / (1.0 + i**2 + j**2 + k**2)
    amounts = weight * rng.uniform(-1, 1, weight.shape)
    amounts *= (size / np.abs(amounts).sum(axis=(1, 2, 3)))[:, None, None, None]
    moved = np.einsum("mi,mj,mk,dijk->md", *waves.transpose(1, 0, 2), amounts)
    return np.asarray(points + moved)


def _shares(kept: NDArray[np.bool_], rng: np.random.Generator, count: int) -> FloatArray:
    """Random rows whose absolute values sum to 1."""
    values = rng.uniform(-1, 1, (count, len(kept))) * kept
    return np.asarray(values / np.abs(values).sum(axis=1, keepdims=True))
