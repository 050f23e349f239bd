"""Proportions and looks of a mug, drawn at random per kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp3d_core.data.procedural.paint import hsv
from kp3d_core.data.procedural.primitives import FloatArray

KINDS = ("mug", "tapered", "belly", "teacup", "tall", "espresso", "enamel")
_SHARES = (0.28, 0.15, 0.15, 0.14, 0.1, 0.08, 0.1)


@dataclass(frozen=True)
class MugShape:
    """Proportions; lengths in metres, handle along +x."""

    kind: str
    height: float
    rim_radius: float
    """Outer radius at the rim."""
    base_ratio: float
    """Outer radius at the foot as a share of that at the rim."""
    belly: float
    """How far the wall bulges half-way up, as a share of the rim's radius; negative for a waist."""
    curve: float
    """How the wall runs from foot to rim: 1 straight, below 1 steeper above (a bowl)."""
    lip: float
    """How far the rim flares outwards, as a share of its radius."""
    wall: float
    """Thickness of the wall."""
    foot: float
    """Height of the ring the mug stands on; 0 for a flat base."""
    squareness: float
    """0 for a round plan, up to 1 for a square with rounded corners."""
    sides: int
    """0 for a smooth plan, else the number of its flat sides."""
    handle: str
    """"C", "D", "ear" or "ring"."""
    handle_top: float
    """Where the handle's upper end joins the wall, as a share of the height."""
    handle_bottom: float
    """The same of the lower end."""
    handle_reach: float
    """How far the middle line of the handle stands off the wall."""
    handle_thickness: float
    """Half the thickness of the handle seen from the side."""
    handle_width: float
    """Half the thickness of the handle seen from the front."""
    fill: float
    """Height of the drink as a share of the height; 0 for an empty mug."""


@dataclass(frozen=True)
class MugStyle:
    """Colours and textures."""

    outside: FloatArray
    inside: FloatArray
    handle: FloatArray
    rim: FloatArray
    second: FloatArray
    """Of the pattern."""
    drink: FloatArray
    pattern: str
    """"plain", "bands", "dip", "print", "checks", "dots", "blobs" or "speckles"."""


_RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "mug": {
        "height": (0.08, 0.108), "radius": (0.036, 0.046), "base": (0.9, 1.02),
        "belly": (-0.03, 0.05), "curve": (0.9, 1.0), "wall": (0.0032, 0.006),
    },
    "tapered": {
        "height": (0.08, 0.11), "radius": (0.038, 0.048), "base": (0.6, 0.85),
        "belly": (-0.02, 0.06), "curve": (0.7, 1.0), "wall": (0.003, 0.005),
    },
    "belly": {
        "height": (0.07, 0.1), "radius": (0.034, 0.044), "base": (0.65, 0.9),
        "belly": (0.1, 0.26), "curve": (0.8, 1.0), "wall": (0.003, 0.006),
    },
    "teacup": {
        "height": (0.042, 0.068), "radius": (0.04, 0.056), "base": (0.4, 0.62),
        "belly": (0.0, 0.1), "curve": (0.35, 0.7), "wall": (0.002, 0.004),
    },
    "tall": {
        "height": (0.108, 0.15), "radius": (0.036, 0.045), "base": (0.6, 0.9),
        "belly": (-0.05, 0.05), "curve": (0.7, 1.0), "wall": (0.003, 0.005),
    },
    "espresso": {
        "height": (0.048, 0.066), "radius": (0.027, 0.036), "base": (0.6, 1.0),
        "belly": (0.0, 0.12), "curve": (0.6, 1.0), "wall": (0.003, 0.005),
    },
    "enamel": {
        "height": (0.07, 0.09), "radius": (0.036, 0.048), "base": (0.82, 1.0),
        "belly": (0.0, 0.0), "curve": (1.0, 1.0), "wall": (0.0012, 0.002),
    },
}  # fmt: skip
_PATTERNS = ("plain", "bands", "dip", "print", "checks", "dots", "blobs", "speckles")
_PATTERN_SHARES = (0.3, 0.1, 0.08, 0.26, 0.05, 0.06, 0.08, 0.07)


def draw_kind(rng: np.random.Generator) -> str:
    """One of `KINDS`, the common ones more often."""
    return str(rng.choice(KINDS, p=_SHARES))


def draw_shape(rng: np.random.Generator, kind: str) -> MugShape:
    """Random proportions of a kind."""
    p = {name: float(rng.uniform(*limits)) for name, limits in _RANGES[kind].items()}
    height, low = p["height"], kind in ("teacup", "espresso")
    handle = str(rng.choice(["C", "D", "ear", "ring"], p=_handle_shares(kind)))
    top = rng.uniform(0.72, 0.92)
    bottom = rng.uniform(0.4, 0.6) if handle == "ring" else rng.uniform(0.1, 0.38)
    thickness = rng.uniform(0.0026, 0.0045) if low else rng.uniform(0.0038, 0.0075)
    # A finger fits: 10 mm of air at least, 8 in the handles of small cups.
    air = rng.uniform(0.008, 0.022) if low else rng.uniform(0.014, 0.034)
    square = kind in ("mug", "tapered") and rng.random() < 0.12
    faceted = not square and kind != "enamel" and rng.random() < 0.08
    return MugShape(
        kind=kind,
        height=height,
        rim_radius=p["radius"],
        base_ratio=p["base"],
        belly=p["belly"],
        curve=p["curve"],
        lip=float(rng.uniform(0.0, 0.07)) if rng.random() < 0.4 else 0.0,
        wall=p["wall"],
        foot=float(rng.uniform(0.002, 0.009)) if rng.random() < (0.85 if low else 0.4) else 0.0,
        squareness=float(rng.uniform(0.4, 1.0)) if square else 0.0,
        sides=int(rng.choice([6, 8, 10, 12])) if faceted else 0,
        handle=handle,
        handle_top=float(top),
        handle_bottom=float(min(bottom, top - 3.2 * thickness / height - 0.2)),
        handle_reach=float(air + thickness),
        handle_thickness=float(thickness),
        handle_width=float(thickness * rng.uniform(0.9, 2.0)),
        fill=float(rng.uniform(0.5, 0.9)) if rng.random() < 0.35 else 0.0,
    )


def _handle_shares(kind: str) -> list[float]:
    return {
        "teacup": [0.3, 0.05, 0.35, 0.3],
        "espresso": [0.35, 0.15, 0.2, 0.3],
        "enamel": [0.7, 0.1, 0.2, 0.0],
    }.get(kind, [0.45, 0.25, 0.22, 0.08])


def draw_style(rng: np.random.Generator, shape: MugShape) -> MugStyle:
    """Random colours and textures that suit a shape."""
    outside, white = draw_glaze(rng), rng.uniform(0.82, 0.98) * rng.uniform(0.95, 1.0, 3)
    inside = outside if rng.random() < 0.4 else white if rng.random() < 0.6 else draw_glaze(rng)
    rim, handle = outside, outside
    if rng.random() < 0.2:
        handle = inside if rng.random() < 0.6 else draw_glaze(rng)
    if shape.kind == "enamel":
        inside = white
        rim = hsv(rng.uniform(0.55, 0.68), 0.7, 0.3) if rng.random() < 0.5 else np.full(3, 0.08)
        handle = outside if rng.random() < 0.7 else rim
    elif rng.random() < 0.15:
        rim = draw_glaze(rng)
    drinks = ([0.1, 0.05, 0.03], [0.45, 0.3, 0.18], [0.55, 0.25, 0.07], [0.9, 0.88, 0.82])
    return MugStyle(
        outside=outside,
        inside=inside,
        handle=handle,
        rim=rim,
        second=_far_from(outside, rng),
        drink=np.array(drinks[int(rng.integers(len(drinks)))]) * rng.uniform(0.8, 1.1),
        pattern=str(rng.choice(_PATTERNS, p=_PATTERN_SHARES)),
    )


def draw_glaze(rng: np.random.Generator) -> FloatArray:
    """Colour of crockery: much white and cream, black and grey, earth, and all bright ones."""
    choice = rng.random()
    if choice < 0.3:
        return rng.uniform(0.8, 0.98) * np.array([1.0, rng.uniform(0.96, 1), rng.uniform(0.86, 1)])
    if choice < 0.42:
        return rng.uniform(0.04, 0.16) * rng.uniform(0.85, 1.15, 3)
    if choice < 0.52:
        return rng.uniform(0.25, 0.75) * rng.uniform(0.96, 1.02, 3)
    if choice < 0.64:
        return hsv(rng.uniform(0.03, 0.12), rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.8))
    return hsv(rng.random(), rng.uniform(0.2, 0.95), rng.uniform(0.25, 0.95))


def _far_from(color: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Another glaze that stands out from a colour."""
    for _ in range(8):
        other = draw_glaze(rng)
        if np.abs(other - color).sum() > 0.6:
            return other
    return np.full(3, 0.95 if color.mean() < 0.5 else 0.08)
