"""Mesh files of any common format as meshes of the renderer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kp3d_core.objects.meshes.archive import open_mesh
from kp3d_core.objects.meshes.finishes import finish_of, has_panes
from kp3d_core.objects.meshes.mesh_list import MeshEntry
from kp3d_core.objects.meshes.resolver import TolerantResolver
from kp3d_core.rendering.mesh import Material, Mesh
from kp3d_core.rendering.normals import corner_normals

if TYPE_CHECKING:
    import trimesh

_MAX_FILE_BYTES = 1 << 30
_GREY = np.full(3, 0.6, np.float32)
_PALETTE = 64
"""Most colours that the vertices of a part are given."""
_MAX_TEXTURE = 512
"""Longer sides of textures are shrunk to this [px]: objects are drawn a hundred pixels wide."""


def load_mesh(entry: MeshEntry) -> Mesh:
    """Read the files of an object, turn them into the object frame and bring them to model units.

    The longest dimension spans [-1, 1] about the centre of the box. Normals are computed, not read.

    Raises:
        ValueError: a file that cannot be read or holds no triangles.
    """
    if entry.files[0].suffix == ".npz":
        return open_mesh(entry.files[0])
    meshes = [read_file(file, file.parents[1])[0] for file in entry.files]
    return turned(joined(meshes), entry.R_object_file)


def read_file(file: Path, root: Path) -> tuple[Mesh, list[str]]:
    """The mesh of a file in its own frame and unit, and what was found missing.

    Args:
        file: OBJ, glTF, PLY, STL, DAE or OFF.
        root: folder that materials and textures must lie in.

    Raises:
        ValueError: it cannot be read or holds no triangles.
    """
    size = file.stat().st_size
    if size > _MAX_FILE_BYTES:
        raise ValueError(f"{file.name} must be under 1 GB, got {size / 1e9:.1f}. Simplify it.")
    resolver = TolerantResolver(file.parent, root)
    parts = list(_read_parts(file, resolver))
    if not parts:
        raise ValueError(f"{file.name} must hold triangles, got none. Export it as a mesh.")
    notes = []
    if resolver.missing:
        names = list(dict.fromkeys(resolver.missing))
        notes.append(f"missing: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}")
    if not any(part.has_color for part in parts):
        notes.append("no colours: grey")
    return joined([_mesh_of(part) for part in parts]), notes


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several, one vertex for each position."""
    vertex_offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    material_offsets = np.cumsum([0, *(len(mesh.materials) for mesh in meshes)])
    points, faces = _merged(
        np.concatenate([mesh.vertices.astype(np.float64) for mesh in meshes]),
        np.concatenate([mesh.faces + k for mesh, k in zip(meshes, vertex_offsets, strict=False)]),
    )
    return Mesh(
        vertices=points.astype(np.float32),
        faces=faces.astype(np.int32),
        corner_normals=corner_normals(points, faces.astype(np.int64)).astype(np.float32),
        corner_uv=np.concatenate([mesh.corner_uv for mesh in meshes]),
        material_ids=np.concatenate(
            [mesh.material_ids + k for mesh, k in zip(meshes, material_offsets, strict=False)]
        ).astype(np.int32),
        materials=tuple(material for mesh in meshes for material in mesh.materials),
    )


def turned(mesh: Mesh, R_object_file: NDArray[np.float64]) -> Mesh:
    """The mesh in another frame, its longest dimension over [-1, 1] about the middle of its box.

    A determinant of -1 mirrors the mesh; its faces still look outwards then.
    """
    if np.linalg.det(R_object_file) < 0:
        mesh = replace(
            mesh,
            faces=np.ascontiguousarray(mesh.faces[:, ::-1]),
            corner_uv=np.ascontiguousarray(mesh.corner_uv[:, ::-1]),
            corner_normals=np.ascontiguousarray(mesh.corner_normals[:, ::-1]),
        )
    points = mesh.vertices.astype(np.float64) @ R_object_file.T
    used = points[mesh.faces.ravel()]
    low, high = used.min(axis=0), used.max(axis=0)
    points = (points - (low + high) / 2) / (float((high - low).max()) / 2)
    normals = mesh.corner_normals.astype(np.float64) @ R_object_file.T
    return replace(
        mesh, vertices=points.astype(np.float32), corner_normals=normals.astype(np.float32)
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """Triangles of one material, or of a few colours."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    corner_uv: NDArray[np.float64]
    material_ids: NDArray[np.int64]
    materials: tuple[Material, ...]
    has_color: bool


def _mesh_of(part: _Part) -> Mesh:
    return Mesh(
        vertices=part.vertices.astype(np.float32),
        faces=part.faces.astype(np.int32),
        corner_normals=np.zeros((len(part.faces), 3, 3), np.float32),  # made when parts are joined
        corner_uv=part.corner_uv.astype(np.float32),
        material_ids=part.material_ids.astype(np.int32),
        materials=part.materials,
    )


def _read_parts(file: Path, resolver: TolerantResolver) -> Iterator[_Part]:
    import trimesh

    try:
        scene = trimesh.load_scene(str(file), resolver=resolver, process=False)
    except Exception as error:  # a hostile file may make a reader raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{file} cannot be read as a mesh: {reason}. Export it again.") from error
    for name in scene.graph.nodes_geometry:
        transform, geometry = scene.graph[name]
        shape = scene.geometry[geometry]
        if not isinstance(shape, trimesh.Trimesh) or len(shape.faces) == 0:
            continue
        points = trimesh.transform_points(shape.vertices, transform)
        faces = np.asarray(shape.faces, np.int64)
        if np.linalg.det(transform[:3, :3]) < 0:
            faces = faces[:, ::-1]
        yield _part(geometry, np.asarray(points, np.float64), faces, shape.visual)


def _part(
    name: str,
    points: NDArray[np.float64],
    faces: NDArray[np.int64],
    visual: trimesh.visual.ColorVisuals,
) -> _Part:
    plain, one = np.zeros((len(faces), 3, 2)), np.zeros(len(faces), np.int64)
    material: Any = getattr(visual, "material", None)
    if material is None:
        if visual.kind not in ("vertex", "face"):
            return _Part(points, faces, plain, one, (Material(name, _GREY),), False)
        ids, materials = _of_colors(name, visual, faces)
        return _Part(points, faces, plain, ids, materials, True)
    given = getattr(material, "diffuse", None)
    if given is None:
        given = getattr(material, "baseColorFactor", None)
    color = _GREY if given is None else _color(given)
    finish = finish_of(material)
    image = getattr(material, "image", None) or getattr(material, "baseColorTexture", None)
    uv = getattr(visual, "uv", None)
    if image is None or uv is None:
        only = Material(name, color, **finish)
        return _Part(points, faces, plain, one, (only,), given is not None)
    # The colour of a textured OBJ material is often a left-over: black would hide the texture.
    color = np.ones(3, np.float32) if color.max() < 0.1 else color
    coordinates = np.nan_to_num(np.asarray(uv, np.float64))[faces]
    try:
        texture, opacity = _texture(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return _Part(points, faces, plain, one, (Material(name, color, **finish),), True)
    if not has_panes(material):
        opacity = None
    textured = Material(name, color, texture, texture_opacity=opacity, **finish)
    return _Part(points, faces, coordinates, one, (textured,), True)


def _of_colors(
    name: str, visual: trimesh.visual.ColorVisuals, faces: NDArray[np.int64]
) -> tuple[NDArray[np.int64], tuple[Material, ...]]:
    """Material of each face, from colours of vertices or faces; at most `_PALETTE` of them."""
    if visual.kind == "vertex":
        colors = np.asarray(visual.vertex_colors, np.float64)[faces].mean(axis=1)[:, :3]
    else:
        colors = np.asarray(visual.face_colors, np.float64)[:, :3]
    image = Image.fromarray(np.clip(colors[None], 0, 255).astype(np.uint8))
    indexed = image.quantize(_PALETTE, dither=Image.Dither.NONE)
    palette = np.reshape(indexed.getpalette() or [], (-1, 3))
    ids = np.asarray(indexed, np.int64)[0]
    return ids, tuple(Material(f"{name} {k}", _color(rgb)) for k, rgb in enumerate(palette))


def _color(rgba: Any) -> NDArray[np.float32]:
    """Of 0..255 with or without opacity."""
    return np.array([channel / 255 for channel in rgba[:3]], np.float32)


def _texture(image: Any) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """RGB of a Pillow image, and its opacity if it has any; shrunk if it is large."""
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    texture = np.asarray(image.convert("RGBA" if has_alpha else "RGB"), np.uint8)
    factor = _MAX_TEXTURE / max(texture.shape[:2])
    if factor < 1:
        size_wh = [max(1, round(factor * side)) for side in texture.shape[1::-1]]
        texture = np.asarray(cv2.resize(texture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    opacity = np.ascontiguousarray(texture[..., 3]) if has_alpha else None
    return np.ascontiguousarray(texture[..., :3]), opacity


def _merged(
    points: NDArray[np.float64], faces: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """One vertex for each position, so that shading is smooth across seams of parts."""
    extent = float(np.ptp(points, axis=0).max())
    grid = np.round(points / (1e-5 * max(extent, 1e-12))).astype(np.int64)
    _, first, index = np.unique(grid, axis=0, return_index=True, return_inverse=True)
    return points[first], index.reshape(-1)[faces]
