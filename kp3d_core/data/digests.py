"""What decides how data come out: digests of code and pictures, versions of libraries."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import platform
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.lights import PHOTOGRAPHS

_LIBRARIES = ("numpy", "numba", "opencv-python-headless", "opencv-python")


def array_digest(array: NDArray[np.uint8]) -> str:
    """Digest of the values of an array."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def renderer_digest(light: str) -> str:
    """Digest of the code that draws objects in a light of `lights.LIGHTS`."""
    digest = source_digest("kp3d_core.rendering")
    if light == PHOTOGRAPHS:  # of the simple lights this code makes nothing
        digest += " " + source_digest("kp3d_core.data.photographic")
    return digest


@cache
def source_digest(package: str) -> str:
    """Digest of a package's Python files: changes when the data it makes may change."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0])
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def library_versions() -> dict[str, str]:
    """Of Python and the libraries that take part in making data."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # one of the two OpenCV packages
    return versions
