"""The light of rendered views: from above as in the paper, or another one for each view."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.cameras import View
from kp3d_core.data.photographic.light import PhotographicLight
from kp3d_core.rendering.mesh import Mesh
from kp3d_core.rendering.packing import pack
from kp3d_core.rendering.rasterizer import DEFAULT_GROUND, DEFAULT_SKY, Rendering, render

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Light:
    """A hemisphere light, see `rendering.rasterizer.render`."""

    up_object: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """Where it comes from, in the object frame."""
    sky: tuple[float, float, float] = (DEFAULT_SKY,) * 3
    ground: tuple[float, float, float] = (DEFAULT_GROUND,) * 3

    def arguments(self, T_camera_object: FloatArray) -> dict[str, Any]:
        """Of `render` for a camera."""
        up_camera = T_camera_object[:3, :3] @ np.array(self.up_object)
        return {"up_camera": up_camera, "sky": self.sky, "ground": self.ground}


def overhead_light(rng: np.random.Generator) -> Light:
    """The paper's: always the same."""
    return Light()


def varied_light(rng: np.random.Generator) -> Light:
    """A light from any side, high or low, hard or soft, warm or cold.

    It leans by up to 80 degrees from the vertical; bright parts may be overexposed.
    """
    lean, azimuth = math.radians(80) * rng.random(), rng.uniform(-math.pi, math.pi)
    up = (
        math.sin(lean) * math.cos(azimuth),
        math.sin(lean) * math.sin(azimuth),
        math.cos(lean),
    )
    sky = rng.uniform(0.7, 1.35) * rng.uniform(0.9, 1.1, 3)
    ground = rng.uniform(0.05, 0.6) * rng.uniform(0.9, 1.1, 3)
    return Light(up, _triple(sky), _triple(ground))


_HEMISPHERES = {"overhead": overhead_light, "varied": varied_light}
PHOTOGRAPHS = "photographs"
LIGHTS = (*_HEMISPHERES, PHOTOGRAPHS)
"""Names of the lights."""

_OBJECT_STREAM = 0x6F626A6C
"""Keeps the random numbers of what all views of an object share apart from those of its shape."""
_VIEW_STREAM = 0x6C696774
"""The same for those of single views."""

Painter = Callable[[int, View], Rendering]
"""Draws view number k of an object."""


def painter_of(
    light: str,
    mesh: Mesh,
    category: str,
    seed: int,
    size: int,
    *,
    random_surfaces: float = 0.0,
    photographs: NDArray[np.uint8] | None = None,
) -> Painter:
    """What draws an object in a light; view k is the same however many are drawn.

    Args:
        light: one of `LIGHTS`.
        mesh: in model units.
        category: of the object.
        seed: of the object.
        size: width and height of the images [px].
        random_surfaces: probability that the object gets random surfaces; only in "photographs".
        photographs: (P, 3, S, S) to be mirrored; only in "photographs".
    """

    def numbers(k: int) -> np.random.Generator:
        return np.random.default_rng((_VIEW_STREAM, seed, k))

    if light == PHOTOGRAPHS:
        drawn = PhotographicLight.of(
            mesh,
            category,
            np.random.default_rng((_OBJECT_STREAM, seed)),
            random_surface_share=random_surfaces,
            photographs=photographs,
        )
        return lambda k, view: drawn.render(view, size, numbers(k))
    draw, packed = _HEMISPHERES[light], pack(mesh)

    def paint(k: int, view: View) -> Rendering:
        arguments = draw(numbers(k)).arguments(view.T_camera_object)
        return render(packed, view.K, view.T_camera_object, size, size, **arguments)

    return paint


def _triple(values: FloatArray) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
