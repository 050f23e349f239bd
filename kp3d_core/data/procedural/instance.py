"""One procedural object: its mesh and its named landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.procedural.primitives import FloatArray, MeshBuilder
from kp3d_core.rendering.mesh import Mesh


@dataclass(frozen=True)
class Instance:
    """An object of a category, made from a seed, in model units.

    The longest dimension of its bounding box spans [-1, 1] and the box is centred on the origin.
    """

    category: str
    seed: int
    kind: str
    """Sub-category, for instance "sedan"."""
    mesh: Mesh
    landmarks: dict[str, NDArray[np.float32]]
    """Named points on the surface, shape (3,) each, in the object frame [model units]."""
    metres_per_unit: float
    """Real size of one model unit: half the object's longest dimension [m]."""


def normalized_instance(
    category: str,
    seed: int,
    kind: str,
    builder: MeshBuilder,
    landmarks: dict[str, FloatArray],
) -> Instance:
    """Bring an object that was built in metres to model units.

    Args:
        category: of the object.
        seed: that it was made from.
        kind: sub-category.
        builder: holds all its parts [m].
        landmarks: named points in the frame of the parts [m].
    """
    mesh, center, unit = builder.build()
    return Instance(
        category=category,
        seed=seed,
        kind=kind,
        mesh=mesh,
        landmarks={
            name: ((point - center) / unit).astype(np.float32) for name, point in landmarks.items()
        },
        metres_per_unit=unit,
    )
