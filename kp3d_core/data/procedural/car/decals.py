"""What is painted or glued onto a car: stripes, adverts, start numbers."""

from __future__ import annotations

import numpy as np

from kp3d_core.data.procedural.car.parameters import CarShape, CarStyle
from kp3d_core.data.procedural.primitives import FloatArray
from kp3d_core.data.procedural.textures import Canvas, random_word


def paint_decal(canvas: Canvas, shape: CarShape, style: CarStyle, rng: np.random.Generator) -> None:
    """Side decoration of the style's kind, or none."""
    painters = {
        "stripe": _stripe,
        "band": _band,
        "advert": _advert,
        "number": _number,
        "checker": _checker,
        "blobs": _blobs,
    }
    if style.decal in painters:
        painters[style.decal](canvas, shape, style, rng)


def paint_stripes(canvas: Canvas, shape: CarShape, style: CarStyle) -> None:
    """Racing stripes from nose to tail, on a picture of the top or of an end of the car."""
    if style.top_stripes == 0:
        return
    width = (0.24 if style.top_stripes == 1 else 0.13) * shape.width
    middles = [0.0] if style.top_stripes == 1 else [-0.8 * width, 0.8 * width]
    far = 2.0 * np.array([shape.length, 0.0, shape.height])
    for middle in middles:
        low, high = (np.array([0.0, middle + side * width / 2.0, 0.0]) for side in (-1, 1))
        canvas.fill(np.stack([low - far, low + far, high + far, high - far]), style.second_paint)


def _quad(
    canvas: Canvas, x: tuple[float, float], z: tuple[float, float], color: FloatArray
) -> None:
    canvas.fill([(x[0], 0, z[0]), (x[1], 0, z[0]), (x[1], 0, z[1]), (x[0], 0, z[1])], color)


def _side_z(shape: CarShape, share: float) -> float:
    return shape.clearance + share * (shape.belt_height - shape.clearance)


def _stripe(canvas: Canvas, shape: CarShape, style: CarStyle, rng: np.random.Generator) -> None:
    """One or two thin lines along the flank."""
    z = _side_z(shape, rng.uniform(0.3, 0.8))
    rise = rng.uniform(-0.1, 0.15) * shape.belt_height
    for k in range(int(rng.integers(1, 3))):
        low, thick = z + 0.1 * k * shape.belt_height, rng.uniform(0.03, 0.08) * shape.belt_height
        x = shape.length
        canvas.fill(
            [(-x, 0, low + rise), (x, 0, low - rise), (x, 0, low - rise + thick),
             (-x, 0, low + rise + thick)],
            style.second_paint,
        )  # fmt: skip


def _band(canvas: Canvas, shape: CarShape, style: CarStyle, rng: np.random.Generator) -> None:
    """A broad band, straight along the flank or slanted across it."""
    if rng.random() < 0.5:
        low = _side_z(shape, rng.uniform(0.2, 0.5))
        _quad(canvas, (-shape.length, shape.length), (low, low + rng.uniform(0.2, 0.5)),
              style.second_paint)  # fmt: skip
        return
    x, lean = rng.uniform(-0.35, 0.2) * shape.length, rng.uniform(-0.6, 0.6) * shape.height
    for k in range(int(rng.integers(1, 4))):
        wide = rng.uniform(0.04, 0.2) * shape.length
        canvas.fill(
            [(x, 0, 0), (x + wide, 0, 0), (x + wide + lean, 0, shape.height),
             (x + lean, 0, shape.height)],
            style.second_paint if k % 2 == 0 else rng.random(3),
        )  # fmt: skip
        x += 1.3 * wide


def _advert(canvas: Canvas, shape: CarShape, style: CarStyle, rng: np.random.Generator) -> None:
    """A panel with lettering, on tall cars in the middle of the flank, else on the doors."""
    tall = shape.kind in ("van", "bus")
    wide = rng.uniform(0.25, 0.5 if tall else 0.3) * shape.length
    x = rng.uniform(-0.5, 0.0) * (shape.length - wide) * 0.8
    top = shape.height * 0.88 if shape.kind == "van" else _side_z(shape, 0.95)
    low = _side_z(shape, rng.uniform(0.25, 0.5))
    back = rng.random(3) if rng.random() < 0.6 else style.second_paint
    ink = np.full(3, 0.95) if back.mean() < 0.5 else rng.uniform(0.0, 0.35, 3)
    if rng.random() < 0.7:
        _quad(canvas, (x, x + wide), (low, top), back)
    else:
        ink = style.second_paint
    width_px = 0.8 * abs(np.diff(canvas.pixels([(x, 0, 0), (x + wide, 0, 0)])[:, 0])[0])
    word = random_word(rng, int(rng.integers(3, 8)))
    canvas.text(word, (x + wide / 2.0, 0.0, (low + top) / 2.0), float(width_px), ink)
    if rng.random() < 0.5:
        dot = (x + wide * rng.uniform(0.1, 0.9), 0.0, low + (top - low) * rng.uniform(0.2, 0.9))
        canvas.ellipse(dot, rng.uniform(2.0, 9.0, 2), rng.random(3))


def _number(canvas: Canvas, shape: CarShape, style: CarStyle, rng: np.random.Generator) -> None:
    """A start number in a disc on the door."""
    center = (rng.uniform(-0.12, 0.12) * shape.length, 0.0, _side_z(shape, 0.55))
    radius = 0.3 * abs(
        np.diff(canvas.pixels([(0, 0, shape.clearance), (0, 0, shape.belt_height)])[:, 1])[0]
    )
    canvas.ellipse(center, (radius, radius), style.second_paint)
    ink = np.full(3, 0.05) if style.second_paint.mean() > 0.45 else np.full(3, 0.95)
    canvas.text(str(rng.integers(1, 100)), center, 1.2 * radius, ink)


def _checker(canvas: Canvas, shape: CarShape, style: CarStyle, rng: np.random.Generator) -> None:
    """Two rows of squares along the flank, as on taxis and ambulances."""
    size = rng.uniform(0.08, 0.16) * shape.belt_height
    low = _side_z(shape, rng.uniform(0.35, 0.7))
    for k in range(int(shape.length / size) + 1):
        x, z = -shape.length / 2.0 + k * size, low + (k % 2) * size
        _quad(canvas, (x, x + size), (z, z + size), style.second_paint)


def _blobs(canvas: Canvas, shape: CarShape, style: CarStyle, rng: np.random.Generator) -> None:
    """Spots of a few colours all over the flank: flowers, camouflage, foil."""
    colors = [style.second_paint, rng.random(3), _mix(style.paint, style.second_paint)]
    for _ in range(int(rng.integers(5, 22))):
        x = rng.uniform(-0.5, 0.5) * shape.length
        z = _side_z(shape, rng.uniform(0.1, 0.95))
        canvas.ellipse((x, 0.0, z), rng.uniform(1.5, 9.0, 2), colors[rng.integers(3)])


def _mix(first: FloatArray, second: FloatArray) -> FloatArray:
    return 0.5 * (first + second)
