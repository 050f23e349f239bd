"""Mesh files of any common format as meshes of the renderer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.objects.meshes.mesh_list import MeshEntry
from kp3d_core.rendering.mesh import Material, Mesh
from kp3d_core.rendering.normals import corner_normals

if TYPE_CHECKING:
    import trimesh

_MAX_TEXTURE = 512
"""Longer sides of textures are shrunk to this [px]: objects are drawn a hundred pixels wide."""


def load_mesh(entry: MeshEntry) -> Mesh:
    """Read the files of an object, turn them into the object frame and bring them to model units.

    The longest dimension spans [-1, 1] about the centre of the box. Transparent surfaces come out
    opaque. Normals are computed, not read.

    Raises:
        ValueError: a file that cannot be read or holds no triangles.
    """
    parts = [part for file in entry.files for part in _read_parts(str(file))]
    if not parts:
        raise ValueError(f"{entry.name} must hold triangles, got none. Export it as a mesh.")
    vertices, faces, uv, ids = [], [], [], []
    offset = 0
    for number, (points, triangles, coordinates, _) in enumerate(parts):
        vertices.append(points @ entry.R_object_file.T)
        faces.append(triangles + offset)
        uv.append(coordinates)
        ids.append(np.full(len(triangles), number))
        offset += len(points)
    points, triangles = _merged(np.concatenate(vertices), np.concatenate(faces))
    used = points[triangles.ravel()]
    low, high = used.min(axis=0), used.max(axis=0)
    points = (points - (low + high) / 2) / (float((high - low).max()) / 2)
    return Mesh(
        vertices=points.astype(np.float32),
        faces=triangles.astype(np.int32),
        corner_normals=corner_normals(points, triangles).astype(np.float32),
        corner_uv=np.concatenate(uv).astype(np.float32),
        material_ids=np.concatenate(ids).astype(np.int32),
        materials=tuple(part[3] for part in parts),
    )


_Part = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], Material]
"""Vertices (V, 3), faces (F, 3), texture coordinates of corners (F, 3, 2) and their material."""


def _read_parts(file: str) -> Iterable[_Part]:
    import trimesh

    try:
        scene = trimesh.load_scene(file, process=False)
    except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
        raise ValueError(f"{file} cannot be read as a mesh: {error}. Export it again.") from error
    for name in scene.graph.nodes_geometry:
        transform, geometry = scene.graph[name]
        shape = scene.geometry[geometry]
        if not isinstance(shape, trimesh.Trimesh) or len(shape.faces) == 0:
            continue
        points = trimesh.transform_points(shape.vertices, transform)
        faces = np.asarray(shape.faces, np.int64)
        if np.linalg.det(transform[:3, :3]) < 0:
            faces = faces[:, ::-1]
        material, coordinates = _material(geometry, shape.visual, faces)
        yield np.asarray(points, np.float64), faces, coordinates, material


def _material(
    name: str, visual: trimesh.visual.ColorVisuals, faces: NDArray[np.int64]
) -> tuple[Material, NDArray[np.float64]]:
    """Material and (F, 3, 2) texture coordinates."""
    material: Any = getattr(visual, "material", None)
    plain = np.zeros((len(faces), 3, 2))
    if material is None:
        return Material(name, _color(visual.main_color)), plain
    given = getattr(material, "diffuse", None)
    if given is None:
        given = getattr(material, "baseColorFactor", None)
    color = np.full(3, 0.6, np.float32) if given is None else _color(given)
    image = getattr(material, "image", None) or getattr(material, "baseColorTexture", None)
    uv = getattr(visual, "uv", None)
    if image is None or uv is None:
        return Material(name, color), plain
    # The colour of a textured OBJ material is often a left-over: black would hide the texture.
    color = np.ones(3, np.float32) if color.max() < 0.1 else color
    coordinates = np.nan_to_num(np.asarray(uv, np.float64))[faces]
    return Material(name, color, _texture(image)), coordinates


def _color(rgba: Any) -> NDArray[np.float32]:
    """Of 0..255 with or without opacity."""
    return np.array([channel / 255 for channel in rgba[:3]], np.float32)


def _texture(image: Any) -> NDArray[np.uint8]:
    """RGB of a Pillow image, shrunk if it is large."""
    texture = np.asarray(image.convert("RGB"), np.uint8)
    factor = _MAX_TEXTURE / max(texture.shape[:2])
    if factor < 1:
        size_wh = [max(1, round(factor * side)) for side in texture.shape[1::-1]]
        texture = np.asarray(cv2.resize(texture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(texture)


def _merged(
    points: NDArray[np.float64], faces: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """One vertex for each position, so that shading is smooth across seams of parts."""
    extent = float(np.ptp(points, axis=0).max())
    grid = np.round(points / (1e-5 * max(extent, 1e-12))).astype(np.int64)
    _, first, index = np.unique(grid, axis=0, return_index=True, return_inverse=True)
    return points[first], index.reshape(-1)[faces]
