"""Paint colours in the shares seen on vehicles: much grey, black, white, some of everything."""

from __future__ import annotations

import colorsys

import numpy as np

from kp3d_core.data.procedural.primitives import FloatArray


def draw_paint(rng: np.random.Generator) -> FloatArray:
    """Random body colour, RGB in 0..1."""
    choice = rng.random()
    if choice < 0.14:
        return rng.uniform(0.84, 0.97) * rng.uniform(0.96, 1.0, 3)
    if choice < 0.25:
        return rng.uniform(0.04, 0.14) * rng.uniform(0.8, 1.2, 3)
    if choice < 0.42:
        return rng.uniform(0.25, 0.75) * rng.uniform(0.94, 1.04, 3)
    if choice < 0.54:
        return hsv(rng.uniform(0.97, 1.03), rng.uniform(0.7, 0.95), rng.uniform(0.45, 0.9))
    if choice < 0.68:
        return hsv(rng.uniform(0.53, 0.66), rng.uniform(0.4, 0.9), rng.uniform(0.25, 0.9))
    if choice < 0.78:
        return hsv(rng.uniform(0.06, 0.16), rng.uniform(0.6, 0.95), rng.uniform(0.75, 0.98))
    return hsv(rng.random(), rng.uniform(0.15, 0.9), rng.uniform(0.25, 0.95))


def draw_second_paint(rng: np.random.Generator, paint: FloatArray) -> FloatArray:
    """Colour for two-tone paint and decals that stands out from the first."""
    for _ in range(8):
        second = draw_paint(rng)
        if np.abs(second - paint).sum() > 0.6:
            return second
    return np.full(3, 0.95 if paint.mean() < 0.5 else 0.08)


def hsv(hue: float, saturation: float, value: float) -> FloatArray:
    """RGB in 0..1 of a colour; hues beyond 0..1 go round."""
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value))
