"""Archives of NumPy arrays from strangers: no pickles, no memory for sizes that are only told."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_READERS: dict[tuple[int, int], Any] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


def read_npz(content: bytes, max_bytes: int) -> dict[str, NDArray[Any]]:
    """The arrays of an archive that `numpy.savez` wrote, by name.

    Args:
        content: of the file.
        max_bytes: most that all arrays may take together.

    Raises:
        ValueError: it is damaged, larger, or holds something other than arrays of plain values.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            items = archive.infolist()
            size = sum(item.file_size for item in items)
            if size > max_bytes:
                raise ValueError(f"it would take {size / 1e6:.0f} MB")
            return {
                item.filename.removesuffix(".npy"): _read_array(archive.read(item))
                for item in items
            }
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError,
            OverflowError, MemoryError, SyntaxError, TypeError, KeyError) as error:  # fmt: skip
        raise ValueError(f"no archive of arrays: {error}") from error


def _read_array(content: bytes) -> NDArray[Any]:
    stream = io.BytesIO(content)
    version = npy.read_magic(stream)
    if version not in _READERS:
        raise ValueError(f"an array of format {version}")
    shape, column_major, dtype = _READERS[version](stream)
    start = stream.tell()
    # NumPy itself would allocate what the header says before it reads.
    if dtype.hasobject or dtype.itemsize * math.prod(shape) != len(content) - start:
        raise ValueError(f"an array of {len(content)} bytes as {shape} of {dtype}")
    flat = np.frombuffer(content, dtype, offset=start)
    return flat.reshape(shape, order="F" if column_major else "C").copy()
