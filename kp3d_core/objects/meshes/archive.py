"""Imported meshes on disk: NumPy archives without pickles, which open without trimesh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.files import atomic_writer
from kp3d_core.npz import read_npz
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
        if material.texture_opacity is not None:
            arrays[f"opacity_{number}"] = material.texture_opacity
        finish = (material.metallic, material.roughness, material.opacity)
        arrays[f"finish_{number}"] = np.array(finish, np.float32)
    arrays["names"] = np.frombuffer(json.dumps(names).encode(), np.uint8)
    with atomic_writer(path) as stream:
        np.savez_compressed(stream, **arrays)


def open_mesh(path: Path) -> Mesh:
    """Read what `save_mesh` wrote.

    Raises:
        ValueError: the file is damaged, or too large to be one of these.
    """
    try:
        content = read_npz(path.read_bytes(), _MAX_BYTES)
        names = json.loads(content["names"].tobytes())
        materials = tuple(
            _material(str(name), number, content) for number, name in enumerate(names)
        )
        for name in _ARRAYS:
            kind = np.int32 if name in ("faces", "material_ids") else np.float32
            _checked(content[name], kind, content[name].shape)
        return Mesh(**{name: content[name] for name in _ARRAYS}, materials=materials)
    except (KeyError, OSError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} must be a mesh written by `kp3d import`, got {error}. Import it again."
        ) from error


def _material(name: str, number: int, content: dict[str, NDArray[Any]]) -> Material:
    told = content.get(f"finish_{number}", np.array([0.0, 0.5, 1.0], np.float32))
    finish = _checked(told, np.float32, (3,))
    if finish.min() < 0 or finish.max() > 1:
        raise ValueError(f"metallic, roughness and opacity of {finish.tolist()}")
    texture = _texture(content.get(f"texture_{number}"))
    opacity = content.get(f"opacity_{number}")
    if opacity is not None:
        opacity = _checked(opacity, np.uint8, () if texture is None else texture.shape[:2])
    metallic, roughness, whole = (float(value) for value in finish)
    return Material(
        name,
        _checked(content[f"color_{number}"], np.float32, (3,)),
        texture,
        metallic,
        roughness,
        whole,
        opacity,
    )


def _texture(image: NDArray[Any] | None) -> NDArray[Any] | None:
    if image is None:
        return None
    if image.ndim != 3 or min(image.shape) < 1:
        raise ValueError(f"a texture of shape {image.shape}")
    return _checked(image, np.uint8, (*image.shape[:2], 3))


def _checked(array: NDArray[Any], kind: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array, if it is as the renderer's compiled code takes it for granted."""
    if array.dtype != kind or array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"an array of shape {array.shape} and type {array.dtype}")
    return array
