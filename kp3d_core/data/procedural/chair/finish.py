"""Wood, cloth, leather, cane and plastic: textures that repeat, and how they lie on parts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from kp3d_core.data.procedural.finishes import finish_of
from kp3d_core.data.procedural.primitives import FloatArray, Surface
from kp3d_core.rendering.mesh import Material

_SIZE_PX = 64
_X, _Y, _Z = np.eye(3)


@dataclass(frozen=True, eq=False)
class Finish:
    """A material whose texture repeats every `period` metres; its grain runs along v."""

    material: Material
    period: float

    def along(self, grain: FloatArray, across: FloatArray) -> Surface:
        """Surface with the grain in one direction."""
        rows = np.stack([across, grain]) / self.period
        return Surface(self.material, np.concatenate([rows, np.full((2, 1), 0.5)], axis=1))

    def seat(self) -> list[Surface]:
        """For a box whose grain runs from front to rear."""
        ends, sides = self.along(_Z, _Y), self.along(_X, _Z)
        flat = self.along(_X, _Y)
        return [ends, ends, sides, sides, flat, flat]

    def upright(self) -> list[Surface]:
        """For a box whose grain runs upwards."""
        ends, sides = self.along(_Z, _Y), self.along(_Z, _X)
        flat = self.along(_X, _Y)
        return [ends, ends, sides, sides, flat, flat]

    def crosswise(self) -> list[Surface]:
        """For a box whose grain runs from right to left."""
        ends, sides = self.along(_Y, _Z), self.along(_Z, _X)
        flat = self.along(_Y, _X)
        return [ends, ends, sides, sides, flat, flat]

    def rod(self, direction: FloatArray) -> Surface:
        """For a rod along a direction."""
        axis = int(np.argmax(np.abs(direction)))
        return self.along(np.eye(3)[axis], np.eye(3)[axis - 1] + np.eye(3)[axis - 2])


def make_finish(
    name: str,
    color: FloatArray,
    rng: np.random.Generator,
    *,
    second: FloatArray | None = None,
    pattern: str = "plain",
) -> Finish:
    """A finish of a colour.

    Args:
        name: "wood", "fabric", "leather", "cane", "net", "plastic" or "metal".
        color: main colour, RGB in 0..1.
        rng: draws grain and patterns.
        second: colour of a pattern on fabric.
        pattern: of fabric.
    """
    if name == "wood":
        return _wood(color, rng)
    if name == "fabric":
        return _fabric(color, color if second is None else second, pattern, rng)
    if name == "leather":
        return _shaded(name, color, 1.0 + 0.03 * _noise(rng, 8, 8), 0.25)
    if name == "cane":
        return _shaded(name, color, _weave(4, 0.35), 0.06)
    if name == "net":
        return _shaded(name, color, _weave(8, 0.5), 0.12)
    plain_color = np.clip(color, 0.0, 1.0).astype(np.float32)
    return Finish(Material(name, plain_color, **finish_of(name)), 1.0)


def _shaded(name: str, color: FloatArray, shade: FloatArray, period: float) -> Finish:
    """Texture of one colour times a brightness, or times a picture of colours."""
    shade = shade[..., None] if shade.ndim == 2 else shade
    image = np.clip(255.0 * np.asarray(color) * shade, 0.0, 255.0).astype(np.uint8)
    return Finish(Material(name, np.ones(3, dtype=np.float32), image, **finish_of(name)), period)


def _noise(rng: np.random.Generator, rows: int, columns: int) -> FloatArray:
    """Smooth noise that repeats, roughly in -1..1."""
    coarse = rng.uniform(-1.0, 1.0, (rows, columns))
    tiled = np.tile(coarse, (3, 3)).astype(np.float32)
    large = cv2.resize(tiled, (3 * _SIZE_PX, 3 * _SIZE_PX), interpolation=cv2.INTER_CUBIC)
    return large[_SIZE_PX : 2 * _SIZE_PX, _SIZE_PX : 2 * _SIZE_PX].astype(np.float64)


def _wood(color: FloatArray, rng: np.random.Generator) -> Finish:
    """Bent growth rings along v, and fine fibres."""
    u = np.arange(_SIZE_PX)[None, :] / _SIZE_PX
    bend = 0.12 * _noise(rng, 3, 3)
    rings = np.sin(2.0 * np.pi * (int(rng.integers(3, 8)) * u + 2.2 * bend))
    strength = rng.uniform(0.05, 0.16)
    shade = 1.0 + strength * rings + 0.5 * strength * _noise(rng, 3, 32)
    return _shaded("wood", color, shade, float(rng.uniform(0.18, 0.4)))


def _fabric(
    color: FloatArray, second: FloatArray, pattern: str, rng: np.random.Generator
) -> Finish:
    """Woven cloth with a pattern."""
    v, u = np.mgrid[0:_SIZE_PX, 0:_SIZE_PX] / _SIZE_PX
    share = np.zeros((_SIZE_PX, _SIZE_PX))
    n, wide = int(rng.integers(1, 5)), rng.uniform(0.25, 0.6)
    if pattern == "stripes":
        share = ((n * u) % 1.0 < wide).astype(np.float64)
    elif pattern == "checks":
        share = 0.5 * ((n * u) % 1.0 < wide) + 0.5 * ((n * v) % 1.0 < wide)
    elif pattern == "dots":
        share = (((n * u) % 1.0 - 0.5) ** 2 + ((n * v) % 1.0 - 0.5) ** 2 < 0.06).astype(np.float64)
    elif pattern == "blobs":
        share = np.clip(3.0 * _noise(rng, 6, 6), 0.0, 1.0)
    colors = color + share[..., None] * (second - color)
    weave = 1.0 + 0.05 * rng.standard_normal((_SIZE_PX, _SIZE_PX, 1))
    return _shaded("fabric", np.ones(3), colors * weave, float(rng.uniform(0.12, 0.3)))


def _weave(n: int, depth: float) -> FloatArray:
    """Crossing strands with dark holes between them."""
    v, u = np.mgrid[0:_SIZE_PX, 0:_SIZE_PX] / _SIZE_PX
    strands = np.maximum(np.cos(2.0 * np.pi * n * u), np.cos(2.0 * np.pi * n * v))
    return 1.0 - depth + depth * np.clip(0.6 + strands, 0.0, 1.0)
