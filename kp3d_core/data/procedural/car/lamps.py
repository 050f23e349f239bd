"""What tells front from rear on real cars: lamps with parts, openings, badges, wipers."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.car.fittings import Fitter
from kp3d_core.data.procedural.car.street import Details
from kp3d_core.data.procedural.primitives import Part, lattice_box, plain

_PROUD = 0.02


def add_details(fitter: Fitter, details: Details) -> None:
    """Add the second version's parts to the ends of a car whose plain lamps are there already."""
    if details.lamp_housing:
        _reflectors(fitter)
    if details.lamp_parts:
        _parts_of_rear_lamps(fitter)
    if details.lower_intake:
        z = (fitter.level(1, 0.04), fitter.level(1, 0.24))
        fitter.builder.add(
            fitter.panel(1, (-0.66, 0.66), z, proud=0.05), plain("grille", (0.02, 0.02, 0.02))
        )
    if details.diffuser:
        z = (fitter.level(-1, 0.0), fitter.level(-1, 0.2))
        fitter.builder.add(fitter.panel(-1, (-0.75, 0.75), z, proud=0.05), fitter.trim)
    if details.badge:
        for sign, level in ((1, 0.62), (-1, 0.74)):
            middle = fitter.level(sign, level)
            height = (middle - 0.05, middle + 0.05)
            badge = fitter.panel(sign, (-0.07, 0.07), height, proud=0.07, is_round=True)
            fitter.builder.add(badge, fitter.chrome)
    if fitter.shape.open_top:
        return
    if details.third_brake_light:
        lamp = _on_rear_window(fitter, (-0.16, 0.16), (0.82, 0.87))
        fitter.builder.add(lamp, plain("taillight", fitter.style.taillight_color))
    if details.rear_wiper and fitter.style.rear_window:
        wiper = _on_rear_window(fitter, (-0.05, 0.45), (0.16, 0.19))
        fitter.builder.add(wiper, plain("trim", (0.02, 0.02, 0.02)))


def _reflectors(fitter: Fitter) -> None:
    """One or two round bright reflectors in each headlight, which turns into their housing."""
    for side, name in ((1, "left"), (-1, "right")):
        center = fitter.landmarks[f"{name}_front_light"]
        half = float(fitter.body.half_width(fitter.shape.length / 2.0, center[2]))
        column, radius = abs(center[1]) / half, 0.055 * fitter.scale
        wide = radius / half
        bright = plain("headlight", (0.97, 0.97, 1.0))
        for k in range(int(fitter.rng.integers(1, 3))):
            middle = column + (0.5 - k) * 1.1 * wide
            columns = (side * middle - wide, side * middle + wide)
            z = (center[2] - radius, center[2] + radius)
            part = fitter.panel(1, columns, z, proud=1.9 * _PROUD, is_round=True)
            fitter.builder.add(part, bright)


def _parts_of_rear_lamps(fitter: Fitter) -> None:
    """A white and an amber field in the lower part of each rear lamp."""
    columns, z = fitter.rear_lamp
    wide, low, high = columns[1] - columns[0], z[0], z[0] + 0.38 * (z[1] - z[0])
    fields = (
        (columns[0] + 0.08 * wide, columns[0] + 0.42 * wide, (0.9, 0.88, 0.85)),
        (columns[0] + 0.5 * wide, columns[0] + 0.9 * wide, (0.9, 0.45, 0.05)),
    )
    for inner, outer, color in fields:
        for side in (1, -1):
            place = (inner, outer) if side > 0 else (-outer, -inner)
            part = fitter.panel(-1, place, (low + 0.01, high), proud=2.0 * _PROUD)
            fitter.builder.add(part, plain("taillight", color))


def _on_rear_window(
    fitter: Fitter, columns: tuple[float, float], heights: tuple[float, float]
) -> Part:
    """A thin plate on the rear window, extents as shares of the cabin's half width and height."""
    across, up = np.meshgrid(np.array(columns), np.array(heights), indexing="ij")
    outer = fitter.cabin.point(np.zeros_like(across), across, up)
    forward = np.array([1.0, 0.0, 0.0])
    return lattice_box(np.stack([outer - 0.03 * forward, outer + 0.02 * forward]))
