"""The painted skin of a car: five pictures of it, projected from the sides, the ends and above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp3d_core.data.procedural.car.body import Body, Cabin
from kp3d_core.data.procedural.car.decals import paint_decal, paint_stripes
from kp3d_core.data.procedural.car.parameters import CarShape, CarStyle
from kp3d_core.data.procedural.primitives import FloatArray, Surface
from kp3d_core.data.procedural.textures import PANE_OPACITY, Canvas, planar_projection

_MARGIN = 1.06  # the pictures reach a little beyond the car, so that no edge wraps around
_SIDE_HEIGHT_PX = 88
_END_SIZE_PX = 72
_TOP_HEIGHT_PX = 64
_FRAME = (0.03, 0.03, 0.035)


@dataclass(frozen=True)
class Livery:
    """One projected surface for each side of the car."""

    left: Surface
    right: Surface
    front: Surface
    rear: Surface
    top: Surface


@dataclass(frozen=True)
class _Painter:
    shape: CarShape
    style: CarStyle
    body: Body
    cabin: Cabin
    rng: np.random.Generator

    def canvas(self, right: FloatArray, up: FloatArray, height_px: int, aspect: float) -> Canvas:
        """Empty picture of the car seen with the given axes to the right and up."""
        extent = _MARGIN * np.array([self.shape.length, self.shape.width, self.shape.height])
        center = np.array([0.0, 0.0, self.shape.height / 2.0])
        width, height = float(np.abs(right) @ extent), float(np.abs(up) @ extent)
        width_px = int(np.clip(round(height_px * aspect * width / height), 48, 320))
        projection = planar_projection(right, up, center, width, height)
        return Canvas(projection, height_px, width_px, self.style.paint)

    def two_tone(self, canvas: Canvas) -> None:
        """Second colour below a line, above the belt or on the roof; dirt along the sill."""
        shape, style = self.shape, self.style
        split = {
            "lower": (0.0, 0.45 * (shape.clearance + shape.belt_height)),
            "upper": (shape.belt_height - 0.04, 2.0 * shape.height),
            "roof": (shape.height - 0.16 * (shape.height - shape.belt_height), 2.0 * shape.height),
        }
        if style.two_tone in split:
            self._belt(canvas, *split[style.two_tone], style.second_paint)
        if style.cladding:
            self._belt(canvas, 0.0, shape.clearance + 0.28 * shape.wheel_radius, style.trim)
        if style.dirt > 0.0:
            for step in range(4):
                reach = (4 - step) / 4 * 0.5 * shape.belt_height
                mud = np.array([0.42, 0.36, 0.28]) * style.dirt + style.paint * (1.0 - style.dirt)
                share = 0.35 * (step + 1) / 4
                self._belt(canvas, 0.0, reach, mud * share + style.paint * (1.0 - share))

    def _belt(self, canvas: Canvas, low: float, high: float, color: FloatArray) -> None:
        x, y = self.shape.length, self.shape.width
        canvas.fill([(-x, -y, low), (x, y, low), (x, y, high), (-x, -y, high)], color)


def paint_livery(
    shape: CarShape, style: CarStyle, body: Body, cabin: Cabin, rng: np.random.Generator
) -> Livery:
    """Paint all five pictures; only decals may differ between left and right."""
    painter = _Painter(shape, style, body, cabin, rng)
    x, y, z = np.eye(3)
    side_seed = int(rng.integers(2**31))
    one_sided = rng.random() < 0.3
    sides = []
    for sign in (1, -1):
        canvas = painter.canvas(-sign * x, z, _SIDE_HEIGHT_PX, 0.85)
        side_rng = np.random.default_rng(side_seed + (sign if one_sided else 0))
        _paint_side(painter, canvas, side_rng, fuel_cap=sign < 0)
        sides.append(canvas.surface("left side" if sign > 0 else "right side"))
    front = painter.canvas(y, z, _END_SIZE_PX, 1.0)
    _paint_end(painter, front, 1)
    rear = painter.canvas(-y, z, _END_SIZE_PX, 1.0)
    _paint_end(painter, rear, -1)
    top = painter.canvas(x, y, _TOP_HEIGHT_PX, 0.9)
    _paint_top(painter, top)
    left, right = sides
    return Livery(left, right, front.surface("front"), rear.surface("rear"), top.surface("top"))


def _darker(color: FloatArray, share: float = 0.55) -> FloatArray:
    return color * share if color.mean() > 0.12 else color + 0.09


def _paint_side(
    painter: _Painter, canvas: Canvas, rng: np.random.Generator, *, fuel_cap: bool
) -> None:
    shape, style = painter.shape, painter.style
    painter.two_tone(canvas)
    paint_decal(canvas, shape, style, rng)
    doors = _paint_side_windows(painter, canvas)
    seam = _darker(style.paint)
    sill, belt = shape.clearance + 0.08, shape.belt_height
    for door_x in doors:
        canvas.line([(door_x, 0.0, sill), (door_x, 0.0, belt)], seam)
    if doors:
        canvas.line([(doors[0], 0.0, sill), (doors[-1], 0.0, sill)], seam)
    handle_z = belt - 0.12 * (belt - shape.clearance)
    for door_x in doors[:-1]:
        handle = [(door_x + 0.06, 0.0, handle_z), (door_x + 0.24, 0.0, handle_z)]
        canvas.line(handle, _darker(style.paint, 0.35), 2)
    if shape.kind == "bus":
        _paint_bus_side(painter, canvas, door=fuel_cap != style.door_left)
    elif fuel_cap:
        canvas.ellipse((shape.rear_axle_x - 0.1, 0.0, 0.9 * belt), (2.5, 2.5), seam)


def _paint_bus_side(painter: _Painter, canvas: Canvas, *, door: bool) -> None:
    """Glazed doors on the pavement side, one beside the driver; engine louvres at the rear."""
    shape, style = painter.shape, painter.style
    sill, belt = shape.clearance, shape.belt_height
    rear, wide = -shape.length / 2.0, 0.25 * (shape.rear_axle_x + shape.length / 2.0)
    for k in range(3):
        z = sill + (0.35 + 0.15 * k) * (belt - sill)
        louvre = [(rear + 0.5 * wide, 0.0, z), (rear + 1.8 * wide, 0.0, z)]
        canvas.line(louvre, _darker(style.paint, 0.4), 2)
    if not door:
        return
    reach = shape.wheel_radius + shape.arch_gap
    ahead = shape.length / 2.0 - 0.35 - shape.front_axle_x - reach
    front = shape.length / 2.0 - 0.35 if ahead > 0.7 else shape.front_axle_x - 1.1 * reach
    depth = min(1.25, ahead) if ahead > 0.7 else 1.1
    high = painter.cabin.base + (0.34 if shape.double_decker else 0.76) * painter.cabin.rise
    for leaf in (0.0, 0.5):
        x = (front - (leaf + 0.46) * depth, front - (leaf + 0.04) * depth)
        corners = [(x[0], sill + 0.12), (x[1], sill + 0.12), (x[1], high), (x[0], high)]
        canvas.fill([(a, 0.0, b) for a, b in corners], style.glass)


def _paint_side_windows(painter: _Painter, canvas: Canvas) -> list[float]:
    """Glass between the roof pillars. Returns the x of the door gaps, rear to front."""
    shape, style, cabin = painter.shape, painter.style, painter.cabin
    rows = [(0.05, 0.78)] if not shape.double_decker else [(0.04, 0.36), (0.52, 0.85)]
    pillar = 0.035 * min(shape.length, 5.0)
    gap = 0.012 * shape.length if shape.kind == "bus" else 0.02 * min(shape.length, 4.5)
    doors: list[float] = []
    for low, high in rows:
        front = [cabin.side_x(1.0, share) - 1.5 * pillar for share in (low, high)]
        rear = [cabin.side_x(0.0, share) + 2.2 * pillar for share in (low, high)]
        z = [cabin.base + share * cabin.rise for share in (low, high)]
        panes = style.side_windows
        span = front[0] - rear[0]
        if shape.kind == "van" and panes == 1:
            rear = [front[0] - max(0.9, 0.2 * shape.length)] * 2
        if style.window_frames:
            edge = 0.5 * pillar
            outline = [(rear[0] - edge, z[0]), (front[0] + edge, z[0])]
            outline += [(front[1] + edge, z[1] + edge), (rear[1] - edge, z[1] + edge)]
            canvas.fill([(x, 0.0, height) for x, height in outline], _FRAME)
        edges = np.linspace(0.0, 1.0, panes + 1)
        # Panes share the span at the belt; gaps between them are upright.
        cuts = rear[0] + edges * (front[0] - rear[0])
        for k in range(panes):
            left, right = cuts[k] + gap / 2.0, cuts[k + 1] - gap / 2.0
            upper = [max(left, rear[1]), min(right, front[1])]
            if upper[1] - upper[0] < 0.05:
                upper = [np.clip(0.5 * (left + right), rear[1], front[1])] * 2
            corners = [(left, z[0]), (right, z[0]), (upper[1], z[1]), (upper[0], z[1])]
            pane = [(x, 0.0, height) for x, height in corners]
            canvas.fill(pane, style.glass, PANE_OPACITY)
        doors = [float(x) for x in cuts] if span > 0 else []
    if shape.kind == "bus":
        return doors[-2:]
    return doors[1:] if len(doors) > 3 else doors


def _paint_end(painter: _Painter, canvas: Canvas, sign: int) -> None:
    """Windscreen or rear window, and the seam of the boot lid."""
    shape, style, cabin = painter.shape, painter.style, painter.cabin
    painter.two_tone(canvas)
    paint_stripes(canvas, shape, style)
    seam = _darker(style.paint)
    end = np.array(1.0 if sign > 0 else 0.0)
    low, high = (0.04, 0.88) if sign > 0 else (0.12, 0.78)
    if shape.kind == "bus" and sign < 0:
        low, high = 0.3, 0.8
    rows = [(low, high)] if not shape.double_decker else [(low, 0.42), (0.52, 0.88)]
    if sign > 0 or style.rear_window:
        for bottom, top in rows:
            corners = [
                cabin.point(end, side * 0.9, height)
                for side, height in ((-1, bottom), (1, bottom), (1, top), (-1, top))
            ]
            if style.window_frames:
                middle = np.mean(corners, axis=0)
                canvas.fill([middle + 1.06 * (corner - middle) for corner in corners], _FRAME)
            canvas.fill(corners, style.glass, PANE_OPACITY)
            if sign > 0:  # wipers
                for y in (-0.5, 0.05):
                    ends = [(0.0, y * shape.width / 2, corners[0][2] + 0.02)]
                    ends.append((0.0, (y + 0.45) * shape.width / 2, corners[0][2] + 0.1))
                    canvas.line(ends, (0.03, 0.03, 0.03))
    half = 0.42 * shape.width
    z = shape.clearance + (0.75 if sign > 0 else 0.32) * (shape.tail_height - shape.clearance)
    canvas.line([(0.0, -half, z), (0.0, half, z)], seam)
    if sign < 0 and shape.kind in ("van", "bus"):
        canvas.line([(0.0, 0.0, z), (0.0, 0.0, shape.height)], seam)
    elif sign < 0:
        canvas.ellipse((0.0, 0.0, 0.82 * shape.tail_height), (2.5, 1.5), (0.8, 0.8, 0.82))


def _paint_top(painter: _Painter, canvas: Canvas) -> None:
    """Bonnet seams, the roof's colour, stripes and sunroof."""
    shape, style, cabin = painter.shape, painter.style, painter.cabin
    wide = shape.width
    roof = [cabin.side_x(share, 1.0) for share in (0.0, 1.0)]
    if style.two_tone in ("roof", "upper"):
        corners = [(roof[0], -wide), (roof[1], -wide), (roof[1], wide), (roof[0], wide)]
        canvas.fill([(x, y, 0.0) for x, y in corners], style.second_paint)
    paint_stripes(canvas, shape, style)
    seam = _darker(style.paint)
    half, inner = shape.length / 2.0, 0.4 * wide
    for side in (-1, 1):
        nose = (half - 0.03 * shape.length, side * 0.85 * inner, 0.0)
        canvas.line([(shape.cowl_x, side * inner, 0.0), nose], seam)
    canvas.line([(shape.deck_x, -inner, 0.0), (shape.deck_x, inner, 0.0)], seam)
    if shape.bed_depth > 0.0:
        low, high = painter.body.bed_x
        corners = [(low, -1), (high, -1), (high, 1), (low, 1)]
        bed = 0.5 * (style.trim + 0.4 * style.paint)
        canvas.fill([(x, 0.43 * wide * s, 0.0) for x, s in corners], bed)
    if style.sunroof:
        front, depth = roof[1] - 0.12, min(0.9, 0.5 * (roof[1] - roof[0]))
        corners = [(front, -1), (front, 1), (front - depth, 1), (front - depth, -1)]
        canvas.fill([(x, 0.3 * wide * s, 0.0) for x, s in corners], style.glass)
