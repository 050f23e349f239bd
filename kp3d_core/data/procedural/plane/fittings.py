"""Canopies and cabins, landing gear, struts, tanks under the wings."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.plane.layout import Layout
from kp3d_core.data.procedural.plane.livery import CabinOutline, Livery, windscreen_top
from kp3d_core.data.procedural.plane.parameters import PlaneShape, PlaneStyle
from kp3d_core.data.procedural.plane.surfaces import SIDES, Fuselage, hull
from kp3d_core.data.procedural.primitives import (
    Z_TO_X,
    Z_TO_Y,
    FloatArray,
    MeshBuilder,
    Part,
    Surface,
    frustum,
    lathe,
    plain,
    tube,
)


def cabin_outline(
    shape: PlaneShape, fuselage: Fuselage, rng: np.random.Generator
) -> CabinOutline | None:
    """Outline of a raised cabin, which reaches up to a high wing; None where there is none."""
    if shape.canopy != "cabin":
        return None
    high_wing = shape.wing_z > 0.0
    front = shape.wing_x + (0.05 if high_wing else 0.02) * shape.length
    depth = rng.uniform(0.26, 0.34) * shape.length
    sill = float(min(fuselage.top(front), fuselage.top(front - depth))) - 0.25 * shape.half_height
    rise = rng.uniform(0.75, 1.0) * shape.half_height
    return CabinOutline(
        foot_rear=front - 1.35 * depth,
        roof_rear=front - 0.9 * depth,
        roof_front=front - (0.12 if high_wing else 0.22) * depth,
        foot_front=front + 0.16 * depth,
        sill=sill,
        roof=float(fuselage.top(shape.wing_x)) + (0.55 if high_wing else 0.7) * rise,
    )


class Fitter:
    """Adds fittings of one plane to its mesh."""

    def __init__(
        self, builder: MeshBuilder, style: PlaneStyle, layout: Layout, rng: np.random.Generator
    ) -> None:
        """Prepare the common surfaces."""
        self.builder, self.style, self.layout, self.rng = builder, style, layout, rng
        self.shape, self.fuselage = layout.shape, layout.fuselage
        self.paint = plain("paint", style.paint)
        self.glass = plain("glass", style.glass)
        self.tyre = plain("tyre", (0.05, 0.05, 0.05))
        self.strut = plain("strut", np.full(3, rng.uniform(0.3, 0.8)))

    def cockpit(self, cabin: CabinOutline | None, livery: Livery) -> FloatArray:
        """Cabin or canopy. Returns the middle of the windscreen's upper edge, or the canopy top."""
        if cabin is not None:
            return self._cabin(cabin, livery)
        if self.shape.canopy == "bubble":
            return self._bubble()
        return windscreen_top(self.shape, self.fuselage)

    def _cabin(self, cabin: CabinOutline, livery: Livery) -> FloatArray:
        fuselage = self.fuselage
        stations = np.array([cabin.foot_rear, cabin.roof_rear, cabin.roof_front, cabin.foot_front])
        crown = np.array([0.3, 1.0, 1.0, 0.05])
        x = np.concatenate([np.linspace(a, b, 3)[:-1] for a, b in zip(stations[:-1], stations[1:],
                            strict=True)] + [stations[-1:]])  # fmt: skip
        top = cabin.sill + np.interp(x, stations, crown) * (cabin.roof - cabin.sill)
        low = cabin.sill - 0.4 * self.shape.half_height
        half_width = 0.93 * fuselage.half_width(x)
        part = hull(x, half_width, 0.5 * (top - low), 0.5 * (top + low), 4.0)
        self.builder.add(part, side_skins(livery))
        return np.array([cabin.roof_front, 0.0, cabin.roof])

    def _bubble(self) -> FloatArray:
        """One or two seats under glass, with a frame at times."""
        shape, fuselage, rng = self.shape, self.fuselage, self.rng
        front_share, depth = {
            "fighter": (0.72, rng.uniform(0.17, 0.26)),
            "glider": (0.16, rng.uniform(0.17, 0.25)),
            "biplane": (-1.0, rng.uniform(0.1, 0.14)),
        }.get(shape.kind, (-0.4, rng.uniform(0.2, 0.3)))
        front = fuselage.nose_x - front_share * shape.nose_length
        if shape.kind in ("biplane", "propeller"):
            front = shape.wing_x - (0.22 if shape.kind == "biplane" else 0.0) * shape.length
        length = depth * shape.length
        share = np.array([0.0, 0.12, 0.3, 0.5, 0.7, 0.86, 0.96, 1.0])
        bulge = np.array([0.06, 0.42, 0.78, 0.97, 1.0, 0.78, 0.42, 0.1])
        x = front - length + share * length
        low = fuselage.top(x) - 0.55 * shape.half_height * fuselage.size(x)
        rise = rng.uniform(0.5, 0.8) * shape.half_height
        if shape.kind == "glider":
            rise *= 0.55
        top = fuselage.top(x) + (bulge * 1.0 - 0.12) * rise
        wide = rng.uniform(0.6, 0.78) * np.minimum(fuselage.half_width(x), shape.half_height)
        half_width = wide * (0.35 + 0.65 * np.sqrt(bulge))
        half_high, middle = 0.5 * (top - low), 0.5 * (top + low)
        self.builder.add(hull(x, half_width, half_high, middle, 2.3), self.glass)
        for place in {"biplane": (0.6,), "glider": (0.45,)}.get(shape.kind, (0.35, 0.76)):
            if rng.random() < 0.75:
                at = front - length + place * length + np.array([-0.012, 0.012]) * length
                bow = [1.03 * np.interp(at, x, v) for v in (half_width, half_high)]
                frame = hull(at, bow[0], bow[1], np.interp(at, x, middle), 2.3)
                self.builder.add(frame, self.paint)
        return np.array([x[4], 0.0, top[4]])

    def _wheel(self, center: FloatArray, radius: float) -> Part:
        half = 0.22 * radius
        profile = [(0.0, -half), (0.8 * radius, -half), (radius, -0.5 * half),
                   (radius, 0.5 * half), (0.8 * radius, half), (0.0, half)]  # fmt: skip
        return lathe(profile, 12).moved(center, Z_TO_Y)

    def gear(self) -> None:
        """Main wheels and a nose or tail wheel."""
        shape, fuselage, rng = self.shape, self.fuselage, self.rng
        if shape.gear == "up":
            return
        radius = shape.half_height * (0.34 if shape.kind in ("propeller", "biplane") else 0.26)
        tail = shape.gear == "tailwheel"
        _, chord = self.layout.wing.at(0.1 * shape.span)
        x = shape.wing_x - (0.05 if tail else 0.6) * chord
        ground = float(fuselage.bottom(x)) - shape.gear_length
        y = max(1.25 * shape.half_width, rng.uniform(0.09, 0.13) * shape.span)
        y = min(y, 2.6 * shape.half_width)
        axle = np.array([x, y, ground + radius])
        start = np.array([x, 0.75 * y, float(fuselage.middle(x)) - 0.6 * shape.half_height])
        fixed = shape.kind in ("propeller", "biplane")
        spatted = fixed and rng.random() < 0.4
        for sign in (1.0, -1.0):
            mirror = np.array([1.0, sign, 1.0])
            leg = tube([start * mirror, axle * mirror], 0.2 * radius, 6, across=(1.0, 0.0, 0.0))
            self.builder.add(leg, self.strut)
            self.builder.add(self._wheel(axle * mirror, radius), self.tyre)
            if spatted:
                share = np.array([-2.0, -1.0, 0.2, 1.1, 1.4])
                size = np.array([0.1, 0.55, 0.8, 0.55, 0.1]) * radius
                spat = hull(radius * share, 0.5 * size, size, np.full(5, 0.3 * radius))
                self.builder.add(spat.moved(axle * mirror), self.paint)
        if tail:
            end = fuselage.tail_x + 0.05 * shape.length
            low = float(fuselage.bottom(end)) - 0.45 * radius
            self.builder.add(self._wheel(np.array([end, 0.0, low]), 0.5 * radius), self.tyre)
            return
        x = fuselage.nose_x - 0.9 * shape.nose_length
        foot = np.array([x, 0.0, ground + 0.85 * radius])
        top = np.array([x, 0.0, float(fuselage.middle(x))])
        self.builder.add(tube([foot, top], 0.17 * radius, 6), self.strut)
        self.builder.add(self._wheel(foot, 0.85 * radius), self.tyre)

    def struts(self) -> None:
        """Struts of a high wing, or between the wings of a biplane."""
        shape, half = self.shape, self.shape.span / 2.0
        flat = np.array([[0.004, 0.011]]) * shape.length

        def rod(low: FloatArray, high: FloatArray) -> None:
            for sign in (1.0, -1.0):
                mirror = np.array([1.0, sign, 1.0])
                ends = [low * mirror, high * mirror]
                part = tube(ends, np.repeat(flat, 2, axis=0), 6, across=(0.0, 1.0, 0.0))
                self.builder.add(part, self.strut)

        if shape.struts:
            edge, chord = self.layout.wing.at(0.5 * half)
            high = edge - np.array([0.35 * chord, 0.0, 0.0])
            x = shape.wing_x - 0.3 * shape.root_chord
            low = np.array([x, 0.6 * shape.half_width, -0.75 * shape.half_height])
            rod(low, high)
        if shape.upper_wing:
            upper = self.layout.upper_wing()
            for place, back in ((0.75, 0.15), (0.75, 0.7), (0.09, 0.2), (0.09, 0.6)):
                (a, low_chord), (b, high_chord) = (
                    wing.at(place * half) for wing in (self.layout.wing, upper)
                )
                low = a - np.array([back * low_chord, 0.0, 0.0])
                rod(low, b - np.array([back * high_chord, 0.0, 0.0]))

    def stores(self) -> None:
        """Missiles and tanks under the wings."""
        shape = self.shape
        for k in range(shape.stores):
            edge, chord = self.layout.wing.at((0.45 + 0.18 * k) * shape.span / 2.0)
            r = (0.022 if k == 0 else 0.011) * shape.length
            length = (0.22 if k == 0 else 0.16) * shape.length
            radii = r * np.array([0.0, 0.5, 1.0, 1.0, 0.6, 0.0])
            along = length * np.array([-0.5, -0.45, -0.2, 0.25, 0.42, 0.5])
            profile = np.stack([radii, along], axis=-1)
            center = edge + np.array([-0.4 * chord, 0.0, -1.1 * r - 0.05 * chord])
            part = lathe(profile, 8).moved(center, Z_TO_X)
            under = edge - np.array([0.4 * chord, 0.0, 0.0])
            pylon = frustum(center, (0.3 * length, 0.15 * r), under, (0.25 * length, 0.15 * r))
            color = self.paint if k == 0 else plain("missile", (0.9, 0.9, 0.9))
            for tank in (part, part.mirrored()):
                self.builder.add(tank, color)
            for side in (pylon, pylon.mirrored()):
                self.builder.add(side, self.paint)


def side_skins(livery: Livery) -> list[Surface]:
    """Surfaces of a hull's face groups: left half, right half, both ends."""
    half = SIDES // 2
    return [livery.left] * half + [livery.right] * half + [livery.left, livery.left]
