"""A folder of photographs as scenes for augmentation."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
MIN_SIDE = 64
"""Smaller pictures are icons [px]."""
MAX_PIXELS = 100_000_000
"""Larger pictures are not decoded."""
MAX_PICTURES = 20_000
"""More are not read: at 160 px they would take over 1.5 GB."""


class Photographs(NamedTuple):
    """Pictures, and the files that are none."""

    images: NDArray[np.uint8]
    """(P, 3, S, S), RGB."""
    skipped: tuple[tuple[Path, str], ...]
    """File and reason."""


def read_photographs(folder: str | Path, size: int) -> Photographs:
    """Read all pictures of a folder and its folders, the middle square of each, S x S pixels.

    Files that are broken, too small or too large are skipped and named.

    Raises:
        ValueError: no such folder, or no picture in it.
    """
    root = Path(folder)
    files = _pictures(root)
    if len(files) > MAX_PICTURES:
        step = len(files) / MAX_PICTURES
        files = [files[int(number * step)] for number in range(MAX_PICTURES)]
    images, skipped = [], []
    for file in files:
        try:
            images.append(_middle_square(file, size))
        except (ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
            reason = "no picture" if isinstance(error, UnidentifiedImageError) else str(error)
            skipped.append((file, reason))
    if not images:
        raise ValueError(
            f"backgrounds must hold photographs (JPEG, PNG, WebP or BMP of at least {MIN_SIDE} "
            f"px), got {len(files)} such files and no usable one in {root}. Choose another folder."
        )
    return Photographs(np.stack(images), tuple(skipped))


def photographs_digest(folder: str | Path) -> str:
    """Of the names and sizes of a folder's pictures: changes when other ones are there.

    Raises:
        ValueError: no such folder.
    """
    root = Path(folder)
    digest = hashlib.sha256()
    for path in _pictures(root):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\n".encode())
    return digest.hexdigest()


def _pictures(root: Path) -> list[Path]:
    """Files that may be pictures, in a fixed order."""
    if not root.is_dir():
        raise ValueError(
            f"backgrounds must be a folder of photographs, got {root}, which is none. Name one, "
            "or leave it out to train before made-up scenes."
        )
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)


def _middle_square(file: Path, size: int) -> NDArray[np.uint8]:
    """(3, S, S)."""
    with Image.open(file) as picture:
        width, height = picture.size
        if min(width, height) < MIN_SIDE:
            raise ValueError(f"it is {width} x {height} px, under {MIN_SIDE}")
        if width * height > MAX_PIXELS:
            raise ValueError(f"it has {width} x {height} px, over {MAX_PIXELS:,} in all")
        picture.draft("RGB", (size, size))  # JPEG decodes to a fraction of its size at once
        width, height = picture.size
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        square = picture.convert("RGB").resize(
            (size, size), Image.Resampling.BOX, (left, top, left + side, top + side)
        )
    return np.ascontiguousarray(np.asarray(square, np.uint8).transpose(2, 0, 1))
