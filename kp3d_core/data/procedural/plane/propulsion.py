"""Engines: jets in nacelles, jet pipes, propellers with their spinners."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.plane.layout import Layout
from kp3d_core.data.procedural.plane.parameters import PlaneStyle
from kp3d_core.data.procedural.primitives import (
    Z_TO_X,
    FloatArray,
    MeshBuilder,
    Part,
    box,
    frustum,
    lathe,
    plain,
    tube,
)

_SEGMENTS = 12
_DARK = (0.06, 0.06, 0.07)


class Propulsion:
    """Adds the engines of one plane to its mesh."""

    def __init__(
        self, builder: MeshBuilder, style: PlaneStyle, layout: Layout, rng: np.random.Generator
    ) -> None:
        """Prepare the common surfaces."""
        self.builder, self.style, self.layout = builder, style, layout
        self.shape, self.fuselage = layout.shape, layout.fuselage
        self.cowl = plain("cowl", style.engine)
        self.metal = plain("metal", style.metal)
        self.dark = plain("dark", _DARK)
        self.paint = plain("paint", style.paint)
        self.spinner = plain("spinner", style.second_paint if rng.random() < 0.5 else style.metal)
        self.blade = plain("blade", np.full(3, rng.choice([0.08, 0.15, 0.6])))
        self.blade_tip = plain("blade tip", (0.9, 0.75, 0.1) if rng.random() < 0.6 else (0.9,) * 3)
        self.phase = float(rng.uniform(0.0, 2.0 * np.pi))
        self.spacing = rng.uniform(0.28, 0.36), rng.uniform(0.55, 0.64)
        self.tail_x = float(rng.uniform(0.27, 0.34))

    def add(self) -> dict[str, FloatArray]:
        """All engines; landmarks that they move: the nose, the end of the tail."""
        place = {
            "wing": self._under_wings,
            "tail": self._at_tail,
            "propellers": self._propellers_on_wings,
            "nose": self._propeller_at_nose,
            "inside": self._jet_pipes,
        }.get(self.shape.engines)
        return place() if place else {}

    def _pair(self, part: Part) -> tuple[Part, Part]:
        return part, part.mirrored()

    def nacelle(self, center: FloatArray) -> Part:
        """Turbofan: intake lip, fan disc, exhaust cone."""
        r, length = self.shape.engine_size, self.shape.engine_length
        profile = [
            (0.0, -0.5 * length), (0.34 * r, -0.36 * length), (0.62 * r, -0.36 * length),
            (0.7 * r, -0.4 * length), (0.98 * r, 0.0), (1.02 * r, 0.3 * length),
            (0.96 * r, 0.46 * length), (0.87 * r, 0.5 * length), (0.8 * r, 0.44 * length),
            (0.78 * r, 0.25 * length), (0.22 * r, 0.27 * length), (0.0, 0.36 * length),
        ]  # fmt: skip
        return lathe(profile, _SEGMENTS).moved(center, Z_TO_X)

    def _add_nacelle(self, part: Part) -> None:
        skins = [self.metal, self.dark, self.dark, self.cowl, self.cowl, self.cowl, self.metal,
                 self.metal, self.dark, self.dark, self.metal]  # fmt: skip
        self.builder.add(part, skins)

    def _under_wings(self) -> dict[str, FloatArray]:
        shape = self.shape
        r, length = shape.engine_size, shape.engine_length
        for share in self.spacing[: shape.engine_count // 2]:
            edge, chord = self.layout.wing.at(share * shape.span / 2.0)
            center = edge + np.array([0.12 * length, 0.0, -1.25 * r - 0.02 * chord])
            wing = edge + np.array([-0.3 * chord, 0.0, -0.01 * chord])
            foot = center + np.array([-0.1 * length, 0.0, 0.7 * r])
            pylon = frustum(foot, (0.34 * length, 0.09 * r), wing, (0.24 * chord, 0.09 * r))
            for part in self._pair(self.nacelle(center)):
                self._add_nacelle(part)
            for part in self._pair(pylon):
                self.builder.add(part, self.paint)
        return {}

    def _at_tail(self) -> dict[str, FloatArray]:
        shape, fuselage = self.shape, self.fuselage
        r, length = shape.engine_size, shape.engine_length
        x = fuselage.tail_x + self.tail_x * shape.length
        y = float(fuselage.half_width(x)) + 1.15 * r
        z = float(fuselage.middle(x)) + 0.4 * shape.half_height
        for part in self._pair(self.nacelle(np.array([x, y, z]))):
            self._add_nacelle(part)
        low, high = (x - 0.3 * length, 0.0, z - 0.08 * r), (x + 0.2 * length, y, z + 0.08 * r)
        for part in self._pair(box(low, high)):
            self.builder.add(part, self.paint)
        if shape.engine_count == 3:
            fin = self.layout.fins[0]
            x = float(fin.leading_edge[1, 0]) - 0.05 * length
            z = float(fuselage.top(x)) + 0.75 * r
            self._add_nacelle(self.nacelle(np.array([x, 0.0, z])))
        return {}

    def propeller(self, hub: FloatArray, spinner_radius: float) -> None:
        """Spinner ahead of `hub`, and blades."""
        shape, r = self.shape, spinner_radius
        profile = [(0.0, -0.15 * r), (r, -0.15 * r), (0.96 * r, 0.35 * r), (0.75 * r, 0.9 * r),
                   (0.4 * r, 1.35 * r), (0.0, 1.55 * r)]  # fmt: skip
        self.builder.add(lathe(profile, _SEGMENTS).moved(hub, Z_TO_X), self.spinner)
        reach = max(shape.propeller_radius, 1.8 * r)
        root = hub + np.array([0.35 * r, 0.0, 0.0])
        for k in range(shape.propeller_blades):
            angle = self.phase + 2.0 * np.pi * k / shape.propeller_blades
            out = np.array([0.0, np.cos(angle), np.sin(angle)])
            flat = np.array([0.45, -np.sin(angle), np.cos(angle)])
            stations = reach * np.array([0.05, 0.35, 0.75, 0.88])
            wide = np.array([0.07, 0.115, 0.1, 0.085]) * reach
            sizes = np.stack([wide, np.full(4, 0.014 * reach)], -1)
            blade = tube(root + stations[:, None] * out, sizes, 4, across=flat)
            self.builder.add(blade, self.blade)
            ends = np.stack([root + 0.88 * reach * out, root + reach * out])
            tip = tube(ends, sizes[[3, 3]] * [[1.0, 1.0], [0.6, 1.0]], 4, across=flat)
            self.builder.add(tip, self.blade_tip)

    def _propellers_on_wings(self) -> dict[str, FloatArray]:
        shape = self.shape
        r = shape.engine_size
        for share in self.spacing[: shape.engine_count // 2]:
            y = max(share * shape.span / 2.0, 1.12 * shape.propeller_radius + shape.half_width)
            if share == self.spacing[1]:
                y = max(y, self.spacing[0] * shape.span / 2.0 + 2.2 * shape.propeller_radius)
            edge, chord = self.layout.wing.at(y)
            front = edge + np.array([max(0.5 * chord, 1.6 * r), 0.0, -0.15 * r])
            length = 1.15 * chord + front[0] - edge[0]
            profile = [(0.0, -length), (0.2 * r, -0.97 * length), (0.6 * r, -0.75 * length),
                       (0.95 * r, -0.45 * length), (r, -0.15 * length), (0.8 * r, -0.02 * length),
                       (0.55 * r, 0.0), (0.0, 0.0)]  # fmt: skip
            part = lathe(profile, _SEGMENTS).moved(front, Z_TO_X)
            for nacelle in self._pair(part):
                self.builder.add(nacelle, [self.cowl] * 6 + [self.dark])
            for sign in (1.0, -1.0):
                self.propeller(front * np.array([1.0, sign, 1.0]), 0.42 * r)
        return {}

    def _propeller_at_nose(self) -> dict[str, FloatArray]:
        fuselage = self.fuselage
        hub = fuselage.nose
        r = self.shape.half_height * min(fuselage.nose_end, 0.34)
        self.propeller(hub, r)
        return {"nose": hub + np.array([1.55 * r, 0.0, 0.0])}

    def _jet_pipes(self) -> dict[str, FloatArray]:
        """One or two nozzles at the rear end, and intakes on both sides."""
        shape, fuselage = self.shape, self.fuselage
        size = shape.tail_size
        r = 0.92 * size * shape.half_height
        length = 1.7 * r
        profile = [(0.0, -0.3 * length), (0.7 * r, -0.3 * length), (0.78 * r, -length),
                   (0.85 * r, -length), (r, 0.1 * length), (0.9 * r, 0.3 * length),
                   (0.0, 0.3 * length)]  # fmt: skip
        offset = 0.0
        if shape.engine_count == 2:
            offset = max(0.55 * size * shape.half_width, 0.8 * r)
        steel = plain("nozzle", 0.5 * self.style.metal)
        for y in (offset, -offset)[: shape.engine_count]:
            part = lathe(profile, _SEGMENTS).moved(fuselage.tail + [0.0, y, 0.0], Z_TO_X)
            self.builder.add(part, [self.dark, self.dark, steel, steel, steel, steel])
        front = shape.wing_x + 0.12 * shape.length
        rear = front - 0.3 * shape.length
        y = float(fuselage.half_width(front))
        path = [(rear, 0.7 * y, 0.0), (front - 0.12 * shape.length, 0.92 * y, 0.0),
                (front, 0.98 * y, 0.0)]  # fmt: skip
        high = shape.half_height * np.array([0.5, 0.62, 0.6])
        wide = shape.half_height * np.array([0.3, 0.45, 0.4])
        intake = tube(path, np.stack([wide, high], -1), 8)
        for part in self._pair(intake):
            self.builder.add(part, [self.paint] * 9 + [self.dark])
        if shape.engine_count == 1:
            return {"tail_end": fuselage.tail + np.array([-0.3 * length, 0.0, 0.0])}
        return {}
