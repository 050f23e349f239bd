"""Where wings, tailplane and fins sit: their leading edges and chords."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp3d_core.data.procedural.plane.parameters import PlaneShape
from kp3d_core.data.procedural.plane.surfaces import Fuselage, tip_point, wing
from kp3d_core.data.procedural.primitives import FloatArray, Part


@dataclass(frozen=True)
class Lifting:
    """A left wing, a left half of a tailplane, or a fin."""

    leading_edge: FloatArray
    """From root to tip, shape (n, 3)."""
    chords: FloatArray
    thickness: float
    """Of the profile, as a share of the chord."""

    @property
    def tip(self) -> FloatArray:
        """Middle of the outer edge."""
        return tip_point(self.leading_edge, self.chords)

    @property
    def outline(self) -> FloatArray:
        """Corners of the planform, shape (2 n, 3)."""
        back = self.leading_edge - self.chords[:, None] * np.array([1.0, 0.0, 0.0])
        return np.concatenate([self.leading_edge, back[::-1]])

    def part(self) -> Part:
        """The closed surface."""
        return wing(self.leading_edge, self.chords, self.thickness)

    def at(self, y: float) -> tuple[FloatArray, float]:
        """Leading edge and chord at a distance from the middle plane."""
        ys = self.leading_edge[:, 1]
        edge = np.array([np.interp(y, ys, self.leading_edge[:, k]) for k in range(3)])
        return edge, float(np.interp(y, ys, self.chords))


class Layout:
    """All lifting surfaces of a plane."""

    def __init__(self, shape: PlaneShape, fuselage: Fuselage) -> None:
        """Place them on a fuselage."""
        self.shape, self.fuselage = shape, fuselage
        self.wing = self._wing()
        self.fins = self._fins()
        self.tailplane = None if shape.tailplane == "none" else self._tailplane()
        if shape.fins == 2 and shape.kind != "fighter":
            self.fins = self._end_fins()

    def _wing(self) -> Lifting:
        shape = self.shape
        half, z = shape.span / 2.0, shape.wing_z * shape.half_height
        shares = [0.0, shape.kink, 1.0] if shape.kink else [0.0, 0.5, 1.0]
        y = half * np.array(shares)
        chords = shape.root_chord + (shape.tip_chord - shape.root_chord) * np.array(shares)
        if shape.kink:  # straight trailing edge up to the kink
            straight = shape.root_chord - shape.sweep * y[1]
            chords[1] = np.clip(straight, 0.6 * chords[1], chords[1])
        elif shape.kind == "glider":  # double taper
            chords[1] = 0.85 * shape.root_chord + 0.15 * shape.tip_chord
        edge = np.stack([shape.wing_x - shape.sweep * y, y, z + shape.dihedral * y], -1)
        if shape.winglet:
            rise = shape.winglet
            end = edge[-1] + rise * np.array([[-0.35, 0.18, 0.3], [-0.95, 0.32, 1.0]])
            edge = np.concatenate([edge, end])
            chords = np.concatenate([chords, shape.tip_chord * np.array([0.85, 0.45])])
        return Lifting(edge, chords, shape.thickness)

    def upper_wing(self) -> Lifting:
        """The upper wing of a biplane, a little ahead of the lower one."""
        shape, lower = self.shape, self.wing
        offset = np.array([0.05 * shape.length, 0.0, shape.upper_wing])
        return Lifting(lower.leading_edge + offset, lower.chords, lower.thickness)

    def canard(self) -> Lifting:
        """Left foreplane."""
        shape = self.shape
        x, half = shape.wing_x + 0.13 * shape.length, 0.24 * shape.span
        edge = np.array([[x, 0.0, 0.0], [x - 0.75 * half, half, 0.05 * half]])
        edge[:, 2] += 0.35 * shape.half_height
        return Lifting(edge, np.array([0.13, 0.05]) * shape.length, 0.06)

    def _fins(self) -> list[Lifting]:
        shape, fuselage = self.shape, self.fuselage
        twin = shape.fins == 2 and shape.kind == "fighter"
        x = fuselage.tail_x + (1.0 if not twin else 1.25) * shape.fin_chord + 0.02 * shape.length
        low = float(np.minimum(fuselage.top(x), fuselage.top(x - shape.fin_chord)))
        sunk = 0.35 * shape.half_height * float(fuselage.size(x - shape.fin_chord))
        y = 0.72 * float(fuselage.half_width(x - 0.5 * shape.fin_chord)) if twin else 0.0
        rise = np.array([0.0, sunk, sunk + shape.fin_height])
        # A small fillet ahead of the foot, as on most single fins.
        fillet = np.array([0.0 if twin else 0.35 * sunk, 0.0, 0.0])
        edge = np.stack(
            [x + fillet - shape.fin_sweep * np.maximum(rise - sunk, 0.0),
             y + shape.fin_cant * rise, low - sunk + rise], -1
        )  # fmt: skip
        chords = shape.fin_chord * np.array([1.0, 1.0, shape.fin_taper]) + fillet
        return [Lifting(edge, chords, 0.06 if shape.kind == "fighter" else 0.1)]

    def _end_fins(self) -> list[Lifting]:
        """Fins at the ends of the tailplane."""
        shape = self.shape
        assert self.tailplane is not None
        tip = self.tailplane.leading_edge[-1]
        height = 0.75 * shape.fin_height
        rise = height * np.array([-0.35, 0.1, 0.65])
        chord = 1.1 * self.tailplane.chords[-1] * np.array([0.65, 1.15, 0.6])
        x = tip[0] + np.array([-0.1, 0.15, -0.25]) * chord[1]
        edge = np.stack([x, np.full(3, tip[1]), tip[2] + rise], -1)
        return [Lifting(edge, chord, 0.08)]

    def _tailplane(self) -> Lifting:
        shape, fuselage = self.shape, self.fuselage
        half, fin = shape.tail_span / 2.0, self.fins[0]
        chord = shape.tail_chord
        share = {"fuselage": 0.0, "cross": 0.5, "T": 0.985}[shape.tailplane]
        if share > 0.0:
            edge, tip = fin.leading_edge[-2:], fin.chords[-2:]
            x, _, z = edge[0] + share * (edge[1] - edge[0])
            x += 0.35 * (chord - (tip[0] + share * (tip[1] - tip[0])))
        else:
            x = fuselage.tail_x + 1.05 * chord
            z = float(fuselage.middle(x - 0.5 * chord))
            x += 0.12 * chord * (shape.kind == "fighter")
        y = np.array([0.0, half])
        dihedral = -0.05 if shape.kind == "fighter" else 0.04 * (share < 0.9)
        points = np.stack([x - shape.tail_sweep * y, y, z + dihedral * y], -1)
        return Lifting(points, chord * np.array([1.0, shape.tail_taper]), 0.08)

    def stabiliser_tip(self) -> FloatArray:
        """End of the left half of the tailplane, or the middle of a delta's trailing edge."""
        if self.tailplane is not None:
            return self.tailplane.tip
        edge, chord = self.wing.at(0.25 * self.shape.span)
        return edge - np.array([chord, 0.0, 0.0])

    def fin_top(self) -> FloatArray:
        """Middle of the upper edge of the fin, of two fins the left one's."""
        return self.fins[0].tip
