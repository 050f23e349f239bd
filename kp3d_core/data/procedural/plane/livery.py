"""The painted skin of a plane: both sides of fuselage and fin, and the wings from above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp3d_core.data.procedural.plane.layout import Layout
from kp3d_core.data.procedural.plane.parameters import PlaneShape, PlaneStyle
from kp3d_core.data.procedural.plane.surfaces import Fuselage
from kp3d_core.data.procedural.primitives import FloatArray, Surface
from kp3d_core.data.procedural.textures import Canvas, planar_projection, random_word

_SIDE_WIDTH_PX = 384
_WING_WIDTH_PX = 288
_INK = np.full(3, 0.07)


@dataclass(frozen=True)
class Livery:
    """One projected surface for each side, and one for all that is seen from above."""

    left: Surface
    right: Surface
    top: Surface
    bottom: Surface


@dataclass(frozen=True)
class CabinOutline:
    """Side view of a raised cabin, for its windows."""

    foot_rear: float
    roof_rear: float
    roof_front: float
    foot_front: float
    sill: float
    roof: float


def paint_livery(
    shape: PlaneShape,
    style: PlaneStyle,
    fuselage: Fuselage,
    layout: Layout,
    cabin: CabinOutline | None,
    rng: np.random.Generator,
) -> Livery:
    """Paint all pictures; left and right differ only in that their text can be read."""
    x, y, z = np.eye(3)
    painter = _Painter(shape, style, fuselage, layout, cabin)
    words = random_word(rng, int(rng.integers(4, 9))), _registration(rng)
    seed = int(rng.integers(2**31))
    sides = []
    for sign, name in ((1, "left side"), (-1, "right side")):
        canvas = painter.side_canvas(-sign * x, z)
        painter.paint_side(canvas, words, np.random.default_rng(seed))
        sides.append(canvas.surface(name))
    wings = []
    for sign, name in ((1, "wing top"), (-1, "wing underside")):
        canvas = painter.wing_canvas(-sign * y, x, style.wing if sign > 0 else painter.underside)
        painter.paint_wing(canvas, words[1], np.random.default_rng(seed), is_top=sign > 0)
        wings.append(canvas.surface(name))
    return Livery(sides[0], sides[1], wings[0], wings[1])


def _registration(rng: np.random.Generator) -> str:
    return random_word(rng, 1) + "-" + random_word(rng, int(rng.integers(3, 5)))


def contrast(color: FloatArray) -> FloatArray:
    """Ink that can be read on a colour."""
    return np.full(3, 0.95) if float(color.mean()) < 0.45 else _INK


@dataclass(frozen=True)
class _Painter:
    shape: PlaneShape
    style: PlaneStyle
    fuselage: Fuselage
    layout: Layout
    cabin: CabinOutline | None

    @property
    def underside(self) -> FloatArray:
        """Colour of the wings from below."""
        return 0.5 * (self.style.wing + self.style.belly)

    def side_canvas(self, right: FloatArray, up: FloatArray) -> Canvas:
        """Picture from the lowest point of the fuselage to the top of the fin."""
        shape = self.shape
        fin = max(float(fin.leading_edge[-1, 2]) for fin in self.layout.fins)
        low, high = -1.3 * shape.half_height, max(fin, 2.2 * shape.half_height) * 1.04
        width = 1.24 * shape.length
        center = np.array([-0.02 * shape.length, 0.0, 0.5 * (low + high)])
        height_px = int(np.clip(_SIDE_WIDTH_PX * (high - low) / width, 48, 160))
        projection = planar_projection(right, up, center, width, high - low)
        return Canvas(projection, height_px, _SIDE_WIDTH_PX, self.style.paint)

    def wing_canvas(self, right: FloatArray, up: FloatArray, color: FloatArray) -> Canvas:
        """Picture of both wings and the tailplane."""
        shape = self.shape
        center = np.array([-0.05 * shape.length, 0.0, 0.0])
        width, height = 1.1 * shape.span, 1.3 * shape.length
        height_px = int(np.clip(_WING_WIDTH_PX * height / width, 96, 256))
        projection = planar_projection(right, up, center, width, height)
        return Canvas(projection, height_px, _WING_WIDTH_PX, color)

    def paint_side(self, canvas: Canvas, words: tuple[str, str], rng: np.random.Generator) -> None:
        """Everything on one side of fuselage and fin."""
        shape, style = self.shape, self.style
        half = shape.half_height
        getattr(self, f"_{style.livery}")(canvas, rng)
        self._fin(canvas, words[0][:1], rng)
        if shape.kind in ("airliner", "bizjet", "turboprop"):
            self._cabin_windows(canvas)
            self._windscreen(canvas)
            if style.titles:
                wide = rng.uniform(0.14, 0.24) * shape.length
                x = self.fuselage.nose_x - shape.nose_length - 0.6 * wide
                self._text(canvas, words[0], (x, 0.0, 0.62 * half), wide, style.second_paint)
        if self.cabin is not None:
            self._cabin_glass(canvas, self.cabin)
        if style.registration and shape.kind != "airliner":
            x = self.fuselage.tail_x + rng.uniform(0.75, 1.0) * shape.tail_length
            z = float(self.fuselage.middle(x))
            ink = contrast(style.paint)
            self._text(canvas, words[1], (x, 0.0, z), rng.uniform(0.12, 0.2) * shape.length, ink)
        if style.roundels:
            self._roundel(canvas, (0.12 * shape.length, 0.0, 0.1 * half), 0.55 * half)

    def _text(
        self, canvas: Canvas, words: str, center: tuple[float, float, float], wide: float,
        color: FloatArray,
    ) -> None:  # fmt: skip
        """A word of a width in metres."""
        width_px = wide * np.linalg.norm(canvas.projection[0, :3]) * canvas.image.shape[1]
        canvas.text(words, center, float(width_px), color)

    def _band(self, canvas: Canvas, low: float, high: float, color: FloatArray) -> None:
        """Horizontal stripe along the fuselage."""
        x = self.shape.length
        canvas.fill([(-x, 0, low), (x, 0, low), (x, 0, high), (-x, 0, high)], color)

    def _slab(self, canvas: Canvas, rear: float, front: float, color: FloatArray) -> None:
        """Vertical stripe around the fuselage."""
        z = self.shape.length
        canvas.fill([(rear, 0, -z), (front, 0, -z), (front, 0, z), (rear, 0, z)], color)

    def _plain(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """One colour."""

    def _tail(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Grey belly at times; the colour is on the fin."""
        if rng.random() < 0.5:
            half = self.shape.half_height
            self._band(canvas, -3.0 * half, -rng.uniform(0.35, 0.6) * half, self.style.belly)

    def _cheatline(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """One to three lines along the windows."""
        half = self.shape.half_height
        z, high = rng.uniform(-0.25, 0.1) * half, rng.uniform(0.12, 0.4) * half
        for color in (self.style.second_paint, self.style.third_paint)[: int(rng.integers(1, 3))]:
            self._band(canvas, z, z + high, color)
            z -= 0.55 * high
            high *= 0.4

    def _belly(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Second colour below a line."""
        half, style = self.shape.half_height, self.style
        color = style.belly if self.shape.kind == "fighter" else style.second_paint
        self._band(canvas, -3.0 * half, rng.uniform(-0.35, 0.05) * half, color)

    def _swoosh(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """The rear in another colour, with a slanted border."""
        x = self.fuselage.tail_x + rng.uniform(0.2, 0.45) * self.shape.length
        z, lean = self.shape.length, rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.6)
        far = -2.0 * self.shape.length
        edge = [(x - lean * z, 0, -z), (x + lean * z, 0, z)]
        canvas.fill([*edge, (far, 0, z), (far, 0, -z)], self.style.second_paint)
        if rng.random() < 0.5:
            step = rng.uniform(0.02, 0.05) * self.shape.length
            stripe = [(a + 2.0 * step, 0, c) for a, _, c in edge]
            inner = [(a + step, 0, c) for a, _, c in edge]
            canvas.fill([*stripe, *inner[::-1]], self.style.third_paint)

    def _nose(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Nose in another colour."""
        x = self.fuselage.nose_x - rng.uniform(0.4, 1.3) * self.shape.nose_length
        self._slab(canvas, x, 2.0 * self.shape.length, self.style.second_paint)

    def _rings(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Bands around the fuselage."""
        x = rng.uniform(-0.3, 0.1) * self.shape.length
        for k in range(int(rng.integers(1, 4))):
            wide = rng.uniform(0.02, 0.08) * self.shape.length
            color = self.style.second_paint if k % 2 == 0 else self.style.third_paint
            self._slab(canvas, x, x + wide, color)
            x -= 1.8 * wide

    def _camouflage(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Spots in two darker shades."""
        colors = [0.7 * self.style.paint, 0.5 * self.style.second_paint + 0.2 * self.style.paint]
        height, width = canvas.image.shape[:2]
        for _ in range(40):
            u, v = rng.uniform(0.0, width), rng.uniform(0.0, height)
            angle = np.linspace(0.0, 2.0 * np.pi, 12, endpoint=False)
            size = rng.uniform(8.0, 24.0) * rng.uniform(0.6, 1.3, 12)
            blob = np.stack([u + 1.6 * size * np.cos(angle), v + 0.7 * size * np.sin(angle)], -1)
            canvas.fill_pixels(blob, colors[int(rng.integers(2))])

    def _fin(self, canvas: Canvas, letter: str, rng: np.random.Generator) -> None:
        """Colour and sign on the fin, rudder line."""
        style = self.style
        for fin in self.layout.fins:
            outline = fin.outline
            color = style.second_paint if style.tail_painted else style.paint
            if style.tail_painted:
                center = outline.mean(axis=0)
                canvas.fill(center + 1.15 * (outline - center), color)
            size = float(np.diff(canvas.pixels(outline[[1, 2]])[:, 1])[0])
            middle = fin.leading_edge[-2:].mean(axis=0)
            middle = middle - np.array([0.5 * fin.chords[-2:].mean(), 0.0, 0.0])
            back, front = outline[::-1], fin.leading_edge
            hinge = back[: len(front)] + 0.3 * (front - back[: len(front)])
            if style.tail_logo == "disc":
                canvas.ellipse(middle, (0.26 * abs(size), 0.26 * abs(size)), style.third_paint)
            elif style.tail_logo == "letter":
                canvas.text(letter, middle, 0.5 * abs(size), contrast(color))
            elif style.tail_logo in ("bars", "diagonal"):
                root, tip = hinge[-2], hinge[-1]
                reach = np.array([0.5 * self.shape.fin_chord, 0.0, 0.0])
                lean = np.array([0.0, 0.0, 0.5 * (tip[2] - root[2])])
                if style.tail_logo == "bars":
                    lean = 0.0 * lean
                for k in range(2):
                    low, high = (root + (0.25 + 0.4 * k + s) * (tip - root) for s in (0.0, 0.2))
                    canvas.fill(
                        [low - reach, low + 2 * reach + lean, high + 2 * reach + lean,
                         high - reach], style.third_paint
                    )  # fmt: skip
            canvas.line(hinge, 0.6 * color)

    def _cabin_windows(self, canvas: Canvas) -> None:
        """Rows of windows, doors at both ends of the cabin."""
        shape, style = self.shape, self.style
        front = self.fuselage.nose_x - 1.15 * shape.nose_length
        rear = self.fuselage.tail_x + 0.75 * shape.tail_length
        px = canvas.image.shape[1] * float(np.linalg.norm(canvas.projection[0, :3]))
        small = max(min(0.11 * shape.half_height, 0.28 * style.window_pitch) * px, 0.7)
        for row in range(style.window_rows):
            z = (0.2 + 0.42 * row) * shape.half_height
            for x in np.arange(rear, front, style.window_pitch):
                canvas.ellipse((x, 0.0, z), (small, 1.5 * small), style.glass)
        for x in (front + 0.035 * shape.length, rear - 0.03 * shape.length):
            wide, low, high = 0.009 * shape.length, -0.35, 0.5
            low, high = low * shape.half_height, high * shape.half_height
            door = [
                (x - wide, 0, low),
                (x + wide, 0, low),
                (x + wide, 0, high),
                (x - wide, 0, high),
            ]
            canvas.line([*door, door[0]], 0.55 * style.paint)

    def _windscreen(self, canvas: Canvas) -> None:
        """Panes around the front of the nose, from the side to the middle."""
        fuselage = self.fuselage
        upper = windscreen_top(self.shape, fuselage)
        depth = 0.36 * self.shape.half_height
        low = upper[2] - depth
        rear = upper[0] - 0.16 * self.shape.nose_length
        far = fuselage.nose_x
        canvas.fill(
            [(rear, 0, low + 0.15 * depth), (far, 0, low), (far, 0, upper[2]),
             (rear + 0.1 * self.shape.nose_length, 0, upper[2])],
            self.style.glass,
        )  # fmt: skip
        for share in (0.22, 0.4):
            x = rear + share * self.shape.nose_length
            canvas.line([(x, 0, low), (x + 0.2 * depth, 0, upper[2])], self.style.paint)

    def _cabin_glass(self, canvas: Canvas, cabin: CabinOutline) -> None:
        """Windscreen, one or two side windows and a rear window of a raised cabin."""
        rise = cabin.roof - cabin.sill
        low, high = cabin.sill + 0.12 * rise, cabin.sill + 0.86 * rise

        def front(z: float, inset: float) -> tuple[float, float, float]:
            share = (z - cabin.sill) / rise
            return (
                cabin.foot_front + share * (cabin.roof_front - cabin.foot_front) - inset,
                0.0,
                z,
            )

        def rear(z: float, inset: float) -> tuple[float, float, float]:
            share = (z - cabin.sill) / rise
            return (cabin.foot_rear + share * (cabin.roof_rear - cabin.foot_rear) + inset, 0.0, z)

        pillar = 0.012 * self.shape.length
        canvas.fill(
            [front(low, 3.0 * pillar), front(low, -9.0 * pillar), front(high, -9.0 * pillar),
             front(high, pillar)], self.style.glass
        )  # fmt: skip
        canvas.fill(
            [front(low, 4.0 * pillar), rear(low, 3.5 * pillar), rear(high, 2.0 * pillar),
             front(high, 2.0 * pillar)], self.style.glass
        )  # fmt: skip
        middle = 0.5 * (front(low, 0.0)[0] + rear(low, 0.0)[0])
        canvas.line([(middle, 0, cabin.sill), (middle, 0, cabin.roof)], self.style.paint, 2)

    def _roundel(self, canvas: Canvas, center: tuple[float, ...], radius: float) -> None:
        """Rings of three colours."""
        px = [
            radius * np.linalg.norm(canvas.projection[k, :3]) * canvas.image.shape[1 - k]
            for k in range(2)
        ]
        for share, color in ((1.0, self.style.second_paint), (0.66, np.full(3, 0.92)),
                             (0.34, self.style.third_paint)):  # fmt: skip
            canvas.ellipse(center, share * np.array(px), color)

    def paint_wing(
        self, canvas: Canvas, word: str, rng: np.random.Generator, *, is_top: bool
    ) -> None:
        """Flaps, tips, stripes, and marks on the wings; the same colours on the tailplane."""
        shape, style = self.shape, self.style
        main = self.layout.wing
        if style.livery == "camouflage" and is_top:
            self._camouflage(canvas, rng)
        half = shape.span / 2.0
        far = 2.0 * shape.length
        for side in (1, -1):
            mirror = np.array([1.0, side, 1.0])
            if style.wing_tips_painted:
                y = side * rng.uniform(0.8, 0.9) * half
                end = side * 2.0 * half
                canvas.fill([(-far, y, 0), (far, y, 0), (far, end, 0), (-far, end, 0)],
                            style.second_paint)  # fmt: skip
            if style.wing_stripes:
                for k in range(3):
                    y, wide = side * (0.45 + 0.12 * k) * half, side * 0.06 * half
                    canvas.fill([(-far, y, 0), (far, y, 0), (far, y + wide, 0),
                                 (-far, y + wide, 0)], style.second_paint)  # fmt: skip
            seam = 0.72 * style.wing
            for inner, outer in ((0.14, 0.58), (0.6, 0.94)):
                ends = [main.at(share * half) for share in (inner, outer)]
                hinge = [(edge - np.array([0.74 * c, 0.0, 0.0])) * mirror for edge, c in ends]
                back = [(edge - np.array([c, 0.0, 0.0])) * mirror for edge, c in ends]
                canvas.line([back[0], hinge[0], hinge[1], back[1]], seam)
            # Navigation lights: red left, green right.
            light = (0.85, 0.1, 0.1) if side > 0 else (0.1, 0.7, 0.25)
            edge, chord = main.at(0.99 * half)
            canvas.ellipse((edge - np.array([0.12 * chord, 0.0, 0.0])) * mirror, (2.5, 2.5), light)
            edge, chord = main.at(0.66 * half)
            spot = (edge - np.array([0.45 * chord, 0.0, 0.0])) * mirror
            if style.roundels:
                self._roundel(canvas, tuple(spot), 0.3 * chord)
            elif style.registration and (side > 0) == is_top:
                self._text(canvas, word, tuple(spot), 0.32 * half, contrast(style.wing))


def windscreen_top(shape: PlaneShape, fuselage: Fuselage) -> FloatArray:
    """Upper edge of a flush windscreen in the middle plane."""
    x = fuselage.nose_x - 0.42 * shape.nose_length
    return np.array([x, 0.0, float(fuselage.top(x))])
