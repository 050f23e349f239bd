"""Parts set onto the body: lights, grille, bumpers, plates, mirrors, roof load, exhaust."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.car.body import Body, Cabin
from kp3d_core.data.procedural.car.parameters import CarShape, CarStyle
from kp3d_core.data.procedural.primitives import (
    Z_TO_X,
    FloatArray,
    MeshBuilder,
    Part,
    Surface,
    box,
    lathe,
    lattice_box,
    plain,
    rounded_box,
    square_to_disc,
)
from kp3d_core.data.procedural.textures import Canvas, planar_projection, random_word

_PROUD = 0.02  # how far panels stand out of the body [m]
_SUNK = 0.05  # how far they reach into it, so that no gap shows where the body is faceted [m]


class Fitter:
    """Adds fittings of one car to its mesh."""

    def __init__(
        self,
        builder: MeshBuilder,
        shape: CarShape,
        style: CarStyle,
        body: Body,
        cabin: Cabin,
        rng: np.random.Generator,
    ) -> None:
        """Prepare the common surfaces."""
        self.builder, self.shape, self.style = builder, shape, style
        self.body, self.cabin, self.rng = body, cabin, rng
        self.paint = plain("paint", style.paint)
        self.trim = plain("trim", style.trim)
        self.chrome = plain("chrome", (0.78, 0.79, 0.8))
        self.scale = min(shape.width / 1.75, 1.3)
        self.landmarks: dict[str, FloatArray] = {}
        self.rear_lamp = ((0.0, 0.0), (0.0, 0.0))
        """Columns and heights of the left rear lamp, once it is there."""

    def panel(
        self,
        sign: int,
        columns: tuple[float, float],
        z: tuple[float, float],
        *,
        proud: float = _PROUD,
        slant: float = 0.0,
        is_round: bool = False,
        wrap: float = 0.0,
    ) -> Part:
        """Thin closed plate that follows the front (+1) or rear (-1) face of the body.

        Args:
            sign: which face.
            columns: extent across, as shares of the half width, smaller first.
            z: extent in height [m], lower first.
            proud: how far it stands out [m].
            slant: rise of the outer end against the inner one [m].
            is_round: cut the corners off to an ellipse.
            wrap: how far it reaches along the body's side where it passes a corner [m].
        """
        wide = abs(columns[1] - columns[0]) > 0.6
        across, up = np.meshgrid(
            np.linspace(-1.0, 1.0, 7 if wide else 5 if is_round else 3),
            np.linspace(-1.0, 1.0, 5 if is_round else 3),
            indexing="ij",
        )
        if is_round:
            across, up = square_to_disc(across, up)
        column = 0.5 * (columns[0] + columns[1]) + 0.5 * (columns[1] - columns[0]) * across
        height = 0.5 * (z[0] + z[1]) + 0.5 * (z[1] - z[0]) * up
        height = height + slant * (np.abs(column) - np.abs(np.mean(columns)))
        end = self.shape.length / 2.0
        forward = np.array([1.0, 0.0, 0.0])
        outer = self.body.end_point(sign, column, height) + sign * proud * forward
        inner = self.body.point(sign * (end - wrap), column, height)
        inner = inner - sign * _SUNK * forward
        return lattice_box(np.stack([inner, outer] if sign > 0 else [outer, inner]))

    def level(self, sign: int, share: float) -> float:
        """Height on an end face as a share from its lower edge to its upper edge."""
        end = sign * self.shape.length / 2.0
        low = float(self.body.bottom(end))
        high = float(self.body.top(end)) - self.shape.shoulder_drop
        return low + share * (high - low)

    def headlights(self, housing: FloatArray | None = None) -> None:
        """A pair of headlights, and fog lights at times.

        Args:
            housing: colour of the lamps but for their reflectors; None: the style's.
        """
        style = self.style
        face = self.level(1, 1.0) - self.level(1, 0.0)
        half_wide, half_high, middle = {
            "round": (0.12, 0.1 * self.scale, 0.78),
            "square": (0.13, 0.085 * self.scale, 0.76),
            "slanted": (0.15, 0.06 * self.scale, 0.76),
            "slim": (0.2, 0.04 * self.scale, 0.85),
        }[style.headlight]
        half_wide *= style.headlight_size
        half_high = min(half_high * style.headlight_size, 0.22 * face)
        z = self.level(1, middle) - max(0.0, half_high - (1.0 - middle) * face * 0.9)
        lamp = plain("headlight", style.headlight_color if housing is None else housing)
        column = (1.012 if style.light_wrap > 0.0 else 0.95) - half_wide
        for side, name in ((1, "left"), (-1, "right")):
            inner, outer = column - half_wide, column + half_wide
            columns = (inner, outer) if side > 0 else (-outer, -inner)
            part = self.panel(
                1,
                columns,
                (z - half_high, z + half_high),
                slant=0.3 * face if style.headlight == "slanted" else 0.0,
                is_round=style.headlight == "round",
                wrap=style.light_wrap,
            )
            self.builder.add(part, lamp)
            if style.light_bezel:
                wide, high = (columns[0] - 0.035, columns[1] + 0.035), half_high + 0.03
                is_round = style.headlight == "round"
                slant = 0.3 * face if style.headlight == "slanted" else 0.0
                frame = self.panel(
                    1, wide, (z - high, z + high), proud=0.01, slant=slant, is_round=is_round
                )
                self.builder.add(frame, self.chrome if style.bumper == "chrome" else self.trim)
            center = self.body.end_point(1, side * column, z)
            self.landmarks[f"{name}_front_light"] = center + np.array([_PROUD, 0.0, 0.0])
            if style.fog_lights:
                low = self.level(1, 0.2)
                fog = (0.62, 0.76) if side > 0 else (-0.76, -0.62)
                height = 0.045 * self.scale
                part = self.panel(1, fog, (low - height, low + height), proud=0.06, is_round=True)
                self.builder.add(part, lamp)

    def taillights(self) -> None:
        """A pair of red rear lights or a bar across."""
        style = self.style
        face = self.level(-1, 1.0) - self.level(-1, 0.0)
        half_wide, half_high, middle = {
            "square": (0.13, 0.08 * self.scale, 0.72),
            "tall": (0.07, 0.17 * self.scale, 0.7),
            "round": (0.1, 0.085 * self.scale, 0.7),
            "bar": (0.16, 0.05 * self.scale, 0.78),
            "slim": (0.2, 0.04 * self.scale, 0.74),
        }[style.taillight]
        half_wide *= style.taillight_size
        half_high = min(half_high * style.taillight_size, 0.26 * face)
        z = self.level(-1, middle) - max(0.0, half_high - (1.0 - middle) * face * 0.9)
        lamp = plain("taillight", style.taillight_color)
        if style.taillight == "bar":
            bar = self.panel(-1, (-0.94, 0.94), (z - half_high * 0.6, z + half_high * 0.6))
            self.builder.add(bar, lamp)
        column = (1.012 if style.light_wrap > 0.0 else 0.96) - half_wide
        self.rear_lamp = ((column - half_wide, column + half_wide), (z - half_high, z + half_high))
        for side in (1, -1):
            inner, outer = column - half_wide, column + half_wide
            columns = (inner, outer) if side > 0 else (-outer, -inner)
            part = self.panel(
                -1,
                columns,
                (z - half_high, z + half_high),
                is_round=style.taillight == "round",
                proud=1.3 * _PROUD,
                wrap=style.light_wrap,
            )
            self.builder.add(part, lamp)

    def grille_and_bumpers(self) -> None:
        """Air intake, bumper bars of another material, number plates."""
        style = self.style
        if style.bumper != "paint":
            material = self.trim if style.bumper == "trim" else self.chrome
            low, high = (0.02, 0.3) if style.bumper == "trim" else (0.12, 0.28)
            for sign in (1, -1):
                z = (self.level(sign, low), self.level(sign, high))
                self.builder.add(self.panel(sign, (-0.99, 0.99), z, proud=0.045), material)
        extents = {
            "wide": (0.55, 0.42, 0.8),
            "narrow": (0.24, 0.36, 0.88),
            "low": (0.62, 0.08, 0.36),
        }
        if style.grille in extents:
            half_wide, low, high = extents[style.grille]
            z = (self.level(1, low), self.level(1, high))
            if self.rng.random() < 0.3:
                edge = 0.025
                frame = (z[0] - edge, z[1] + edge)
                part = self.panel(1, (-half_wide - 0.04, half_wide + 0.04), frame, proud=0.03)
                self.builder.add(part, self.chrome)
            part = self.panel(1, (-half_wide, half_wide), z, proud=0.05)
            self.builder.add(part, self._grille_surface(z))
        for sign in (1, -1):
            if style.plate == "both" or (style.plate == "rear" and sign < 0):
                self._plate(sign)

    def _grille_surface(self, z: tuple[float, float]) -> Surface:
        """Bars, upright or level."""
        _, y, up = np.eye(3)
        middle = np.array([0.0, 0.0, 0.5 * (z[0] + z[1])])
        height = 1.1 * (z[1] - z[0])
        projection = planar_projection(y, up, middle, self.shape.width, height)
        canvas = Canvas(projection, 16, 48, self.style.grille_color)
        bar = self.rng.choice([0.02, 0.3, 0.7]) * np.ones(3)
        if self.rng.random() < 0.5:
            canvas.image[2::5] = (255.0 * bar).astype(np.uint8)
        else:
            canvas.image[:, 2::5] = (255.0 * bar).astype(np.uint8)
        return canvas.surface("grille")

    def _plate(self, sign: int) -> None:
        half_wide = (0.26 if self.style.plate_long else 0.17) / (self.shape.width / 2.0)
        half_high = 0.06 if self.style.plate_long else 0.085
        z = self.level(sign, 0.22 if sign > 0 or self.shape.kind != "sedan" else 0.55)
        _, y, up = np.eye(3)
        middle = np.array([0.0, 0.0, z])
        projection = planar_projection(sign * y, up, middle, 0.58, 2.2 * half_high)
        canvas = Canvas(projection, 12, 40, self.style.plate_color)
        canvas.text(random_word(self.rng, 6), middle, 30.0, (0.1, 0.1, 0.15))
        part = self.panel(
            sign, (-half_wide, half_wide), (z - half_high, z + half_high), proud=0.065
        )
        self.builder.add(part, canvas.surface("plate"))

    def mirrors(self) -> None:
        """Outside mirrors at the feet of the windscreen pillars."""
        if not self.style.mirrors:
            return
        size = self.scale * np.array([0.06, 0.1, 0.065])
        height = 0.08
        if self.shape.kind in ("bus", "van") or self.style.cladding:
            size, height = size * np.array([1.0, 0.9, 1.7]), 0.16
        foot = self.cabin.point(0.97, 1.0, height)
        if self.shape.kind == "bus":  # on long arms, ahead of the windscreen
            height = 0.45 if self.shape.double_decker else 0.75
            foot = self.cabin.point(0.97, 1.0, height)
            size = 1.2 * size
        ahead = 0.3 if self.shape.kind == "bus" else -0.08
        center = foot + np.array([ahead, 0.95 * size[1], 0.0])
        arm = box(
            (min(center[0], foot[0]) - 0.03, foot[1] - 0.08, center[2] - 0.03),
            (center[0] + 0.03, center[1], center[2] + 0.01),
        )
        shell = rounded_box(center, tuple(size), roundness=0.45)
        glass = plain("mirror glass", (0.6, 0.65, 0.7))
        skin = self.paint if self.style.mirror_painted else self.trim
        for left in (arm, shell):
            skins = [glass if left is shell else skin] + [skin] * 5
            self.builder.add(left, skins)
            self.builder.add(left.mirrored(), skins)

    def roof(self) -> None:
        """Rails, boxes and signs on the roof."""
        shape, style = self.shape, self.style
        middle = self.cabin.point(0.5, 0.0, 1.0)
        front, rear = self.cabin.side_x(1.0, 1.0), self.cabin.side_x(0.0, 1.0)
        length, top = front - rear, float(middle[2])
        edge = 0.78 * float(self.cabin.point(0.5, 1.0, 1.0)[1])
        if style.roof_rack:
            for side in (-1, 1):
                y = sorted((side * edge, side * (edge + 0.05)))
                low, high = (rear + 0.15 * length, y[0]), (front - 0.15 * length, y[1])
                self.builder.add(box((*low, top - 0.1), (*high, top + 0.05)), self.trim)
        if style.roof_box:
            half = (min(0.28 * length, 1.1), 0.45 * edge, 0.14 * self.scale)
            center = (middle[0] - 0.1 * length, 0.0, top + 0.8 * half[2])
            color = plain("roof box", self.rng.choice([0.1, 0.5, 0.85]) * np.ones(3))
            self.builder.add(rounded_box(center, half, roundness=0.35), color)
        if style.light_bar != "none":
            taxi = style.light_bar == "taxi"
            half = (0.07, 0.22, 0.07) if taxi else (0.1, 0.85 * edge, 0.06)
            color = plain("sign", (0.95, 0.85, 0.4) if taxi else (0.15, 0.3, 0.9))
            center = (front - 0.3 * length, 0.0, top + 0.7 * half[2])
            self.builder.add(rounded_box(center, half, roundness=0.2, divisions=2), color)
        if style.spoiler:
            self._spoiler(rear, top, shape.kind)

    def _spoiler(self, roof_rear: float, top: float, kind: str) -> None:
        """Wing on the boot, or a lip at the end of the roof."""
        color = self.paint if self.rng.random() < 0.6 else self.trim
        half = 0.38 * self.shape.width
        if kind not in ("sedan", "sports"):
            z = top - 0.3 * self.shape.roof_radius - self.shape.roof_drop
            wing = box((roof_rear - 0.22, -half, z - 0.05), (roof_rear + 0.1, half, z))
            self.builder.add(wing, color)
            return
        rise = float(self.rng.uniform(0.06, 0.22))
        x = -self.shape.length / 2.0 + 0.08 + 0.5 * self.shape.rear_bow
        z = self.shape.tail_height + rise
        self.builder.add(box((x, -half, z - 0.03), (x + 0.22, half, z + 0.01)), color)
        for side in (-1, 1):
            y = sorted((side * 0.75 * half, side * 0.68 * half))
            leg = box((x + 0.05, y[0], z - rise - 0.12), (x + 0.15, y[1], z - 0.02))
            self.builder.add(leg, color)

    def underside(self) -> None:
        """Exhausts, spare wheel, and the dark floor that closes the wheel arches inside."""
        shape, style = self.shape, self.style
        half = 0.5 * shape.width - shape.wheel_width - 0.1
        black = plain("floor", (0.03, 0.03, 0.03))
        radius = shape.wheel_radius + shape.arch_gap
        for axle_x in (shape.front_axle_x, shape.rear_axle_x):
            top = float(self.body.middle_top(axle_x + radius * np.array([-1.0, 1.0])).min()) - 0.1
            top = max(top, shape.clearance + 0.1)
            low, high = (axle_x - radius, -half, shape.clearance), (axle_x + radius, half, top)
            self.builder.add(box(low, high), black)
        pipe = lathe([(0.0, -0.2), (0.045, -0.2), (0.045, 0.2), (0.0, 0.2)], 8)
        for k in range(style.exhaust):
            column = np.array(0.6 if k == 0 else -0.6)
            edge = self.level(-1, 0.0)
            center = self.body.end_point(-1, column, edge) + np.array([0.14, 0.0, -0.01])
            self.builder.add(pipe.moved(center, Z_TO_X), self.chrome)
        if style.spare_wheel:
            z = self.level(-1, 0.8)
            r = 0.9 * shape.wheel_radius
            center = self.body.end_point(-1, 0.0, z)
            spare = lathe([(0.0, -0.2), (r, -0.2), (r, 0.08), (0.85 * r, 0.12), (0.0, 0.13)], 16)
            turned = spare.moved(center - np.array([0.05, 0.0, 0.0]), -Z_TO_X @ np.diag([1, -1, 1]))
            self.builder.add(turned, plain("spare wheel", style.tyre * 1.5))
