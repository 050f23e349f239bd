"""Imported meshes on disk: NumPy archives without pickles, which open without trimesh."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from kp3d_core.files import atomic_writer
from kp3d_core.rendering.mesh import Material, Mesh

_MAX_BYTES = 512 << 20
_ARRAYS = ("vertices", "faces", "corner_normals", "corner_uv", "material_ids")


def save_mesh(mesh: Mesh, path: Path) -> None:
    """Write a mesh, whole or not at all."""
    arrays: dict[str, Any] = {name: getattr(mesh, name) for name in _ARRAYS}
    names = []
    for number, material in enumerate(mesh.materials):
        names.append(material.name)
        arrays[f"color_{number}"] = material.base_color
        if material.texture is not None:
            arrays[f"texture_{number}"] = material.texture
    arrays["names"] = np.frombuffer(json.dumps(names).encode(), np.uint8)
    with atomic_writer(path) as stream:
        np.savez_compressed(stream, **arrays)


def open_mesh(path: Path) -> Mesh:
    """Read what `save_mesh` wrote.

    Raises:
        ValueError: the file is damaged, or too large to be one of these.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > _MAX_BYTES:
            raise ValueError(f"it would take {size / 1e6:.0f} MB")
        with np.load(path, allow_pickle=False) as content:
            names = json.loads(content["names"].tobytes())
            materials = tuple(
                Material(
                    str(name),
                    content[f"color_{number}"],
                    content[f"texture_{number}"] if f"texture_{number}" in content else None,
                )
                for number, name in enumerate(names)
            )
            return Mesh(**{name: content[name] for name in _ARRAYS}, materials=materials)
    except (KeyError, OSError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} must be a mesh written by `kp3d import`, got {error}. Import it again."
        ) from error
