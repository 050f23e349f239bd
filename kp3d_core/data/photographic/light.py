"""Light "photographs": another sun, sky, surroundings and exposure for every view of an object."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.cameras import View
from kp3d_core.data.photographic.environments import random_environment
from kp3d_core.data.photographic.surfaces import random_surfaces, vary_finishes
from kp3d_core.rendering.environment import Environment
from kp3d_core.rendering.lit import Lighting, LitMesh, prepare, render_lit, sky_colors
from kp3d_core.rendering.mesh import Mesh
from kp3d_core.rendering.rasterizer import Rendering

FloatArray = NDArray[np.float64]

_SUNS = 5
_LAMPS = 3
_ENVIRONMENTS = 4
"""Kinds of light an object is prepared for; its views choose and turn them."""
_SUN_SHARE = 0.55
_LAMP_SHARE = 0.35
_FLYING_SHARE = {"plane": 0.5}
"""Share of the views of a category that stand on nothing."""


@dataclass(frozen=True)
class PhotographicLight:
    """Draws an object in random light."""

    category: str
    mesh: LitMesh
    environments: tuple[Environment, ...]
    dirt: float
    dirt_color: tuple[float, float, float]

    @staticmethod
    def of(
        mesh: Mesh,
        category: str,
        rng: np.random.Generator,
        *,
        random_surface_share: float = 0.0,
        photographs: NDArray[np.uint8] | None = None,
    ) -> PhotographicLight:
        """Prepare an object.

        Args:
            mesh: in model units.
            category: decides whether it may fly.
            rng: of the object.
            random_surface_share: probability that its surfaces get random textures and colours.
            photographs: (P, 3, S, S), that half of the surroundings are made of.
        """
        mesh = vary_finishes(mesh, rng)
        if rng.random() < random_surface_share:
            mesh = random_surfaces(mesh, rng, photographs)
        prepared = prepare(mesh, _key_directions(rng), rng.uniform(0, 2 * math.pi))
        return PhotographicLight(
            category=category,
            mesh=prepared,
            environments=tuple(random_environment(rng, photographs) for _ in range(_ENVIRONMENTS)),
            dirt=float(rng.uniform(0.1, 1.0)) if rng.random() < 0.3 else 0.0,
            dirt_color=_triple(rng.uniform(0.06, 0.2) * np.array([1.0, 0.85, 0.65])),
        )

    def render(self, view: View, size: int, rng: np.random.Generator) -> Rendering:
        """One view, size x size pixels, in a light that `rng` draws."""
        lighting = self._draw(view, rng)
        return render_lit(self.mesh, view.K, view.T_camera_object, size, size, lighting)

    def _draw(self, view: View, rng: np.random.Generator) -> Lighting:
        environment = self.environments[rng.integers(len(self.environments))]
        sun = int(rng.integers(_SUNS)) if rng.random() < _SUN_SHARE else -1
        turn = rng.uniform(0, 2 * math.pi)
        if sun >= 0:  # the bright side of the sky is where the sun is
            direction = self.mesh.keys.directions[sun]
            turn = math.atan2(direction[1], direction[0])
        sky = sky_colors(self.mesh.sky, environment, turn)
        ambient = _facing(self.mesh.sky.directions, sky, np.array([0.0, 0.0, 1.0])).mean()
        keys = []
        if sun >= 0:
            strength = ambient * math.exp(rng.uniform(math.log(0.5), math.log(8.0)))
            low = 1 - max(direction[2], 0.0)  # a low sun is red
            warm = np.array([1.0, 1.0 - 0.2 * low**2, 1.0 - 0.5 * low**2])
            keys.append((sun, _triple(strength * warm * rng.uniform(0.95, 1.05, 3))))
        for lamp in range(_LAMPS):
            if rng.random() < _LAMP_SHARE / 2:
                strength = ambient * math.exp(rng.uniform(math.log(0.2), math.log(1.5)))
                tint = rng.uniform(0.75, 1.0, 3)
                keys.append((_SUNS + lamp, _triple(strength * tint)))
        return Lighting(
            environment=environment,
            turn=turn,
            keys=tuple(keys),
            exposure=self._exposure(view, sky, keys, rng),
            dirt=self.dirt,
            dirt_color=self.dirt_color,
            ground_shadow=float(rng.random() >= _FLYING_SHARE.get(self.category, 0.05)),
        )

    def _exposure(
        self,
        view: View,
        sky: FloatArray,
        keys: list[tuple[int, tuple[float, float, float]]],
        rng: np.random.Generator,
    ) -> float:
        """As a camera chooses it: by the light on level surfaces and on those that face it."""
        directions = np.concatenate(
            [self.mesh.sky.directions, self.mesh.keys.directions[[k for k, _ in keys]]]
        )
        colors = np.concatenate([sky, np.array([c for _, c in keys]).reshape(-1, 3)])
        towards = -view.T_camera_object[2, :3] * np.array([1.0, 1.0, 0.0])
        towards /= max(float(np.linalg.norm(towards)), 1e-6)
        side = np.array([-towards[1], towards[0], 0.0])
        normals = (np.array([0.0, 0.0, 1.0]), towards, side, -side)
        shares = (0.35, 0.35, 0.15, 0.15)
        light = sum(
            share * float(_facing(directions, colors, normal).mean())
            for share, normal in zip(shares, normals, strict=True)
        )
        wanted = 0.6 * math.exp(float(np.clip(rng.normal(0.0, 0.55), -1.2, 1.2)))
        return wanted / max(light, 1e-6)


def _facing(directions: FloatArray, colors: FloatArray, normal: FloatArray) -> FloatArray:
    """What a white surface with a normal shows of lights that nothing hides, RGB."""
    return np.asarray(np.maximum(directions @ normal, 0.0) @ colors)


def _key_directions(rng: np.random.Generator) -> FloatArray:
    """Towards the suns, all around and from low to high, then the lamps, mostly from above."""
    count = _SUNS + _LAMPS
    azimuth = rng.uniform(0, 2 * math.pi) + np.arange(_SUNS) * 2 * math.pi / _SUNS
    azimuth = np.concatenate([azimuth, rng.uniform(0, 2 * math.pi, _LAMPS)])
    elevation = np.radians(
        np.concatenate([rng.uniform(8.0, 70.0, _SUNS), rng.uniform(15.0, 85.0, _LAMPS)])
    )
    assert len(azimuth) == count
    return np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ],
        axis=-1,
    )


def _triple(values: FloatArray) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
