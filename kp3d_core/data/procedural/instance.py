"""One procedural object: its mesh and its named landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
