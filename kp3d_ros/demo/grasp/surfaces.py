"""Table tops and walls: panels with a picture on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

PICTURES = (".jpg", ".jpeg", ".png")


def write_panel(path: Path, width_m: float, height_m: float) -> Path:
    """A flat rectangle in its x-y plane, facing +z, as an OBJ file with texture coordinates.

    In cells: the renderer drops a triangle of which a corner is behind the camera.
    """
    if path.exists():
        return path
    cells = 24
    steps = np.linspace(0, 1, cells + 1)
    lines = [
        f"v {width_m * (u - 0.5):.5f} {height_m * (v - 0.5):.5f} 0" for v in steps for u in steps
    ]
    lines += [f"vt {u:.5f} {v:.5f}" for v in steps for u in steps]
    lines.append("vn 0 0 1")
    for row in range(cells):
        for column in range(cells):
            a = 1 + row * (cells + 1) + column
            b, c, d = a + 1, a + cells + 2, a + cells + 1
            lines += [f"f {a}/{a}/1 {b}/{b}/1 {c}/{c}/1", f"f {a}/{a}/1 {c}/{c}/1 {d}/{d}/1"]
    path.write_text("\n".join(lines) + "\n")
    return path


def table_picture(seed: int, size: int = 256) -> NDArray[np.uint8]:
    """A table top, shape (size, size, 3) RGB: plain, grained or speckled."""
    rng = np.random.default_rng([seed, 5])
    base = rng.uniform(0.25, 0.85) * (1 + rng.uniform(-0.15, 0.15, 3))
    kind = rng.choice(["plain", "grain", "speckles"])
    if kind == "grain":
        noise = _noise(rng, size, (3, 48)) * 0.25
    elif kind == "speckles":
        noise = _noise(rng, size, (128, 128)) * 0.3
    else:
        noise = _noise(rng, size, (6, 6)) * 0.06
    rgb = base * (1 + noise[..., None])
    return np.asarray((255 * rgb).clip(0, 255), np.uint8)


def wall_picture(seed: int, folder: Path | None, size: int = 512) -> NDArray[np.uint8]:
    """What is behind the table, shape (size, size, 3) RGB.

    Args:
        seed: which one.
        folder: of photographs to choose from; None for soft patches of colour.
        size: of the picture [px].
    """
    rng = np.random.default_rng([seed, 6])
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in PICTURES) if folder else []
    if files:
        file = files[int(rng.integers(len(files)))]
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{file} must be a picture (JPEG or PNG) and cannot be read. Move it.")
        return np.asarray(cv2.resize(image, (size, size))[..., ::-1], np.uint8)
    patches = np.stack([_noise(rng, size, (5, 5)) for _ in range(3)], axis=-1)
    rgb = rng.uniform(0.3, 0.8) + 0.3 * patches.mean(-1, keepdims=True) + 0.12 * patches
    return np.asarray((255 * rgb).clip(0, 255), np.uint8)


def _noise(rng: np.random.Generator, size: int, cells_hw: tuple[int, int]) -> NDArray[np.floating]:
    """Smooth random numbers of about -1 to 1, shape (size, size)."""
    small = rng.uniform(-1, 1, cells_hw).astype(np.float32)
    return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC))
