"""The light of rendered views: from above as in the paper, or another one for each view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.rendering.rasterizer import DEFAULT_GROUND, DEFAULT_SKY

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


LIGHTS = {"overhead": overhead_light, "varied": varied_light}


def _triple(values: FloatArray) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
