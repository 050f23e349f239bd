"""MATLAB files from strangers: structures of numbers and text, of bounded size.

Reference: "MAT-File Format", The MathWorks, level 5. The values are read by SciPy; what SciPy takes
on trust is checked before: how much a compressed element unpacks to, how many items an array
claims, and the types of elements, of which a wrong one ends the process.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Container
from pathlib import Path
from typing import Any

MAX_FILE_BYTES = 64 * 2**20
MAX_UNPACKED_BYTES = 256 * 2**20
_MAX_DEPTH = 16
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_UINT32 = 6
_COUNTS = (5, 6)  # int32; some writers take uint32
_NAMES = (1, 16)  # int8; some writers take UTF-8
_TEXT = (1, 2, 3, 4, 16, 17, 18)
_VALUES = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13)
"""Types of elements; with others SciPy looks beside its tables."""
_COMPLEX = 0x800
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMBERS = range(6, 16)
"""Classes double, single and integers of all widths."""


def read_mat(path: Path) -> dict[str, Any]:
    """Read the variables of a MATLAB file of level 5: structures become dictionaries.

    Raises:
        ValueError: no such file, too large, or holds other than structures, cells, text and
            numbers; or SciPy is missing.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ValueError(
            f"{path} is read by SciPy, which is not installed. Run pip install 'kp3d[data]'."
        ) from error
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"it is larger than {MAX_FILE_BYTES // 2**20} MiB")
        _check(path.read_bytes())
        return loadmat(str(path), simplify_cells=True)
    except (
        OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, MemoryError,
        OverflowError, struct.error, zlib.error,
    ) as error:  # fmt: skip
        raise ValueError(
            f"{path} must be a MATLAB file (level 5, not v7.3) of structures, numbers and text, "
            f"got one that cannot be read: {error or type(error).__name__}. Download it again, or "
            "save it with `save -v7`."
        ) from error


def _check(content: bytes) -> None:
    """Refuse what is no level 5 file, unpacks to too much, or claims more than it holds."""
    mark = content[_HEADER - 2 : _HEADER]
    if mark not in (b"IM", b"MI"):
        raise ValueError("its header is no MATLAB file's of level 5")
    order = "<" if mark == b"IM" else ">"
    left = MAX_UNPACKED_BYTES
    start = _HEADER
    while start < len(content):
        kind, size = struct.unpack_from(f"{order}II", content, start)
        start += 8
        body = content[start : start + size]
        start += size
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            body = unpacker.decompress(body, left)
            if unpacker.unconsumed_tail:
                raise ValueError(f"it unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MiB")
            left -= len(body)
            kind, size = struct.unpack_from(f"{order}II", body)
            body = body[8:]
        if kind != _MATRIX or len(body) < size:
            raise ValueError("it is cut off or damaged")
        _check_matrix(body[:size], order, depth=0)


def _check_matrix(body: bytes, order: str, depth: int) -> None:
    """Refuse what SciPy could not read safely; nothing may be left over, as it reads on there."""
    if not body:
        return  # an empty member
    if depth > _MAX_DEPTH:
        raise ValueError(f"its structures are nested deeper than {_MAX_DEPTH}")
    flags, start = _element(body, 0, order, (_UINT32,))
    dimensions, start = _element(body, start, order, _COUNTS)
    _, start = _element(body, start, order, _NAMES)  # name
    flag = struct.unpack(f"{order}II", flags)[0]
    kind = flag & 0xFF
    if kind not in (_CELL, _STRUCT, _CHAR, *_NUMBERS) or flag & _COMPLEX:
        raise ValueError(f"it holds an array of class {kind}, or complex numbers")
    counts = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    if min(counts, default=-1) < 0 or math.prod(counts) > len(body):
        raise ValueError(f"it claims an array of shape {counts} in {len(body)} bytes")
    members = math.prod(counts)
    if kind not in (_CELL, _STRUCT):
        _, start = _element(body, start, order, _TEXT if kind == _CHAR else _VALUES)
        members = 0
    if kind == _STRUCT:
        length, start = _element(body, start, order, _COUNTS)
        names, start = _element(body, start, order, _NAMES)
        (width,) = struct.unpack(f"{order}i", length)
        if width < 1 or len(names) % width:
            raise ValueError("its field names are damaged")
        members *= len(names) // width
    while members and start < len(body):
        member, start = _element(body, start, order, (_MATRIX,))
        _check_matrix(member, order, depth + 1)
        members -= 1
    if members or start != len(body):
        raise ValueError("it holds more or less than it says")


def _element(body: bytes, start: int, order: str, kinds: Container[int]) -> tuple[bytes, int]:
    """Content of the element at `start`, of one of some types, and where the next one starts."""
    kind, size = struct.unpack_from(f"{order}II", body, start)
    start += 8
    padding = -size % 8
    if kind >> 16:  # the short form: size and type in one word, four bytes of content
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise ValueError("it is cut off or damaged")
        start, padding = start - 4, 4 - size
    content = body[start : start + size]
    if len(content) < size or kind not in kinds:
        raise ValueError("it is cut off or damaged")
    return content, start + size + padding
