"""Decoded views on disk, for sets that do not fit into memory.

A folder holds the arrays of one set at one size as NumPy files; the images are mapped, not read:
the system keeps in memory what is used and shares it between processes. Its name is made of the
digest of the shards and the size, so that other data never are taken for these.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHARE = 0.8
"""Of the free memory, that decoded views may take."""


def require_memory(bytes_needed: int, what: object) -> None:
    """Refuse what would not fit, before hours of decoding.

    Raises:
        ValueError: free memory is too small; it says what to do.
    """
    free = free_memory()
    if bytes_needed > _SHARE * free:
        raise ValueError(
            f"The decoded views of {what} must fit into memory, they take {bytes_needed / 1e9:.1f} "
            f"GB and {free / 1e9:.1f} GB are free. For training, map them from a disk with as much "
            "room: --data.cache=DIR. Or render fewer views, or train at a smaller size."
        )


def free_memory() -> int:
    """Memory that can be taken without swapping [bytes]."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        kilobytes = {name: int(rest.split()[0]) for name, rest in (ln.split(":") for ln in lines)}
        return 1024 * kilobytes["MemAvailable"]
    except (OSError, KeyError, ValueError, IndexError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def new_images(folder: Path | None, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An array to decode into: in a file of a folder, or in memory if there is none."""
    if folder is None:
        return np.empty(shape, np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    return np.lib.format.open_memmap(folder / "rgba.npy", "w+", np.uint8, shape)


def save_others(folder: Path, arrays: dict[str, Any], names: dict[str, Any]) -> None:
    """Write what is small: arrays by name, and plain values."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    (folder / "names.json").write_text(json.dumps(names))


def open_folder(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays, images mapped, and the plain values of a folder."""
    arrays = {
        path.stem: np.load(path, mmap_mode="c" if path.stem == "rgba" else None)
        for path in folder.glob("*.npy")
    }
    return arrays, json.loads((folder / "names.json").read_text())
