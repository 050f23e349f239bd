"""Closed surface parts (boxes, lathed solids, lofts, tubes) and their assembly into one mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.procedural.finishes import finish_of
from kp3d_core.rendering.mesh import Material, Mesh
from kp3d_core.rendering.normals import corner_normals

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Values = float | int | FloatArray
"""A number or an array of numbers."""
Vector = Sequence[float | int] | FloatArray
"""One position or colour."""
Points = Sequence[Vector] | FloatArray
"""Positions, shape (N, 3)."""

REAR, FRONT, RIGHT, LEFT, BOTTOM, TOP = range(6)
"""Face groups of a lattice box: the sides at -x, +x, -y, +y, -z, +z."""

Z_TO_X: FloatArray = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""Rotation that lays a part built along z forwards."""
Z_TO_Y: FloatArray = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Rotation that lays a part built along z to the left."""


@dataclass(frozen=True)
class Part:
    """A closed triangulated surface whose faces are sorted into material groups."""

    vertices: FloatArray
    """Positions, shape (V, 3)."""
    faces: IntArray
    """Vertex indices, shape (F, 3), counter-clockwise seen from outside."""
    groups: IntArray
    """Group of each face, shape (F,): a side of a box or loft, a band of a solid of revolution."""

    def moved(self, offset: Vector, rotation: FloatArray | None = None) -> Part:
        """Rotated about the origin, then shifted."""
        vertices = self.vertices if rotation is None else self.vertices @ rotation.T
        return Part(vertices + np.asarray(offset, dtype=np.float64), self.faces, self.groups)

    def mirrored(self) -> Part:
        """Reflected in the plane y = 0, with faces turned so that they still look outwards."""
        return Part(self.vertices * np.array([1.0, -1.0, 1.0]), self.faces[:, ::-1], self.groups)


@dataclass(frozen=True, eq=False)
class Surface:
    """A material with the affine map from positions to its texture."""

    material: Material
    projection: FloatArray | None = None
    """Shape (2, 4): uv = projection @ (x, y, z, 1). None where the material has no texture."""

    def uv(self, points: FloatArray) -> FloatArray:
        """Texture coordinates of points of shape (..., 3)."""
        if self.projection is None:
            return np.zeros((*points.shape[:-1], 2))
        return points @ self.projection[:, :3].T + self.projection[:, 3]


def plain(name: str, color: Vector) -> Surface:
    """Surface of one colour without texture."""
    base_color = np.clip(np.asarray(color, dtype=np.float32), 0.0, 1.0)
    return Surface(Material(name, base_color, **finish_of(name)))


def textured(
    name: str,
    image: NDArray[np.uint8],
    projection: FloatArray,
    opacity: NDArray[np.uint8] | None = None,
) -> Surface:
    """Surface whose colours all come from its texture; its opacity, too, where that is given."""
    material = Material(
        name, np.ones(3, dtype=np.float32), image, texture_opacity=opacity, **finish_of(name)
    )
    return Surface(material, projection)


@lru_cache(maxsize=512)
def _lattice_topology(nx: int, ny: int, nz: int) -> tuple[IntArray, IntArray, IntArray]:
    """Used lattice points, faces and face groups of the boundary of an nx x ny x nz lattice.

    Diagonals are mirrored about the middle of the y axis, so that a symmetric shape has a symmetric
    triangulation.
    """
    index = np.arange((nx + 1) * (ny + 1) * (nz + 1)).reshape(nx + 1, ny + 1, nz + 1)
    second_half = np.arange(ny) >= ny / 2
    along_xy = np.broadcast_to(second_half[None, :], (nx, ny))
    along_yz = np.broadcast_to(second_half[:, None], (ny, nz))
    along_xz = np.zeros((nx, nz), dtype=bool)
    # Sheet, whether its first axis x its second axis points outwards, which diagonals to flip.
    sheets = (
        (index[0], False, along_yz),
        (index[-1], True, along_yz),
        (index[:, 0], True, along_xz),
        (index[:, -1], False, along_xz),
        (index[:, :, 0], False, along_xy),
        (index[:, :, -1], True, along_xy),
    )
    faces, groups = [], []
    for group, (sheet, outward, flip) in enumerate(sheets):
        a, b = sheet[:-1, :-1], sheet[1:, :-1]
        c, d = sheet[1:, 1:], sheet[:-1, 1:]
        if not outward:
            b, d = d, b
        first = np.where(flip[..., None], np.stack([a, b, d], -1), np.stack([a, b, c], -1))
        second = np.where(flip[..., None], np.stack([b, c, d], -1), np.stack([a, c, d], -1))
        faces.append(np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)]))
        groups.append(np.full(len(faces[-1]), group))
    used, compact = np.unique(np.concatenate(faces), return_inverse=True)
    return used, compact.reshape(-1, 3), np.concatenate(groups)


def lattice_box(grid: FloatArray) -> Part:
    """Box deformed to the positions of a lattice of points; only its boundary is used.

    Args:
        grid: positions, shape (nx + 1, ny + 1, nz + 1, 3); the axes must be right-handed. The face
            groups are REAR, FRONT (ends of axis 0), RIGHT, LEFT (axis 1), BOTTOM, TOP (axis 2).
    """
    nx, ny, nz = (n - 1 for n in grid.shape[:3])
    used, faces, groups = _lattice_topology(nx, ny, nz)
    return Part(grid.reshape(-1, 3)[used], faces, groups)


def box(minimum: Vector, maximum: Vector) -> Part:
    """Axis-aligned box."""
    axes = [np.array([lo, hi], dtype=np.float64) for lo, hi in zip(minimum, maximum, strict=True)]
    return lattice_box(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))


def frustum(low: Vector, low_half: Vector, high: Vector, high_half: Vector) -> Part:
    """Block between two level rectangles.

    Args:
        low: middle of the lower one.
        low_half: its half extents along x and y.
        high: middle of the upper one.
        high_half: its half extents along x and y.
    """
    signs = np.stack(np.meshgrid([-1.0, 1.0], [-1.0, 1.0], [0.0], indexing="ij"), axis=-1)
    ends = [
        np.asarray(center) + signs * np.array([half[0], half[1], 0.0])
        for center, half in ((low, low_half), (high, high_half))
    ]
    return lattice_box(np.concatenate(ends, axis=2))


def rounded_box(
    center: Vector,
    half_size: Vector,
    *,
    roundness: float = 0.6,
    divisions: int = 2,
) -> Part:
    """Box whose surface is drawn towards an ellipsoid: 0 keeps the box, 1 gives the ellipsoid."""
    axis = np.linspace(-1.0, 1.0, divisions + 1)
    cube = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    length = np.maximum(np.linalg.norm(cube, axis=-1, keepdims=True), 1e-9)
    sphere = cube / length * np.abs(cube).max(axis=-1, keepdims=True)
    grid = (1.0 - roundness) * cube + roundness * sphere
    return lattice_box(np.asarray(center) + grid * np.asarray(half_size))


def lathe(profile: Points, segments: int) -> Part:
    """Solid of revolution about the z axis.

    Args:
        profile: (radius, z) from the lower pole to the upper pole; both poles have radius 0 and all
            other points a positive one. Band k of the face groups joins points k and k + 1.
        segments: number of steps around the axis.
    """
    points = np.asarray(profile, dtype=np.float64)
    angle = np.linspace(0.0, 2.0 * np.pi, segments, endpoint=False)
    rings = np.stack(
        [
            points[1:-1, :1] * np.cos(angle),
            points[1:-1, :1] * np.sin(angle),
            np.repeat(points[1:-1, 1:], segments, axis=1),
        ],
        axis=-1,
    )
    poles = np.array([[0.0, 0.0, points[0, 1]], [0.0, 0.0, points[-1, 1]]])
    ring = 2 + np.arange(rings.shape[0] * segments).reshape(-1, segments)
    after = np.roll(ring, -1, axis=1)
    low, high = np.zeros(segments, dtype=np.int64), np.ones(segments, dtype=np.int64)
    faces = [np.stack([low, after[0], ring[0]], -1)]
    faces += [
        np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
        for a, b, c, d in zip(ring[:-1], after[:-1], after[1:], ring[1:], strict=True)
    ]
    faces.append(np.stack([high, ring[-1], after[-1]], -1))
    groups = [np.full(len(band), k) for k, band in enumerate(faces)]
    vertices = np.concatenate([poles, rings.reshape(-1, 3)])
    return Part(vertices, np.concatenate(faces), np.concatenate(groups))


def loft(rings: FloatArray) -> Part:
    """Closed skin over a row of cross-sections, with a fan of triangles at both ends.

    Args:
        rings: shape (n, m, 3); the m points of a section run counter-clockwise seen from the last
            section. Face group j < m joins the points j and j + 1 of all sections; group m is the
            first end, group m + 1 the last.
    """
    n, m = rings.shape[:2]
    poles = np.stack([rings[0].mean(axis=0), rings[-1].mean(axis=0)])
    ring = 2 + np.arange(n * m).reshape(n, m)
    after = np.roll(ring, -1, axis=1)
    low, high = np.zeros(m, dtype=np.int64), np.ones(m, dtype=np.int64)
    a, b, c, d = (x.ravel() for x in (ring[:-1], after[:-1], after[1:], ring[1:]))
    side = np.tile(np.arange(m), n - 1)
    faces = [
        np.stack([a, b, c], -1),
        np.stack([a, c, d], -1),
        np.stack([low, after[0], ring[0]], -1),
        np.stack([high, ring[-1], after[-1]], -1),
    ]
    groups = [side, side, np.full(m, m), np.full(m, m + 1)]
    vertices = np.concatenate([poles, rings.reshape(-1, 3)])
    return Part(vertices, np.concatenate(faces), np.concatenate(groups))


def tube(
    path: Points,
    half_size: float | Sequence[float] | FloatArray,
    sides: int = 8,
    *,
    across: Vector = (0.0, 1.0, 0.0),
) -> Part:
    """Rod of a constant or tapered profile along a polyline, mitred at its bends.

    Args:
        path: positions, shape (n, 3).
        half_size: radius; or (n,) radii, one per position; or (n, 2) half extents along `across`
            and at right angles to it.
        sides: corners of the profile; 4 makes a bar whose flat sides face `across`.
        across: direction that the profile's first axis follows; not along the path.
    """
    points = np.asarray(path, dtype=np.float64)
    sizes = np.asarray(half_size, dtype=np.float64)
    sizes = np.broadcast_to(sizes[:, None] if sizes.ndim == 1 else sizes, (len(points), 2))
    steps = np.diff(points, axis=0)
    along = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    first = np.asarray(across, dtype=np.float64)
    first = first - (first @ along[0]) * along[0]
    first = first / np.linalg.norm(first)
    second = np.cross(along[0], first)
    turn = np.pi / 4.0 if sides == 4 else 0.0
    angle = turn + np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)
    stretch = np.sqrt(2.0) if sides == 4 else 1.0
    axes = stretch * np.stack(
        [np.cos(angle)[:, None] * first, np.sin(angle)[:, None] * second], axis=0
    )
    rings = []
    for k in range(len(points)):
        before, after = along[max(k - 1, 0)], along[min(k, len(along) - 1)]
        normal = before + after
        # Slide the profile along the rod into the plane that halves the bend.
        axes = axes - (axes @ normal / (before @ normal))[..., None] * before
        rings.append(points[k] + sizes[k, 0] * axes[0] + sizes[k, 1] * axes[1])
    return loft(np.stack(rings))


def rounded_path(points: Points, radius: float, steps: int = 3) -> FloatArray:
    """Polyline whose inner corners are replaced by parabolas that begin `radius` away from them."""
    corners = np.asarray(points, dtype=np.float64)
    path = [corners[0]]
    for before, corner, after in zip(corners[:-2], corners[1:-1], corners[2:], strict=True):
        reach = [
            corner + (end - corner) * min(radius / np.linalg.norm(end - corner), 0.49)
            for end in (before, after)
        ]
        for t in np.linspace(0.0, 1.0, steps + 1):
            path.append((1 - t) ** 2 * reach[0] + 2 * t * (1 - t) * corner + t**2 * reach[1])
    path.append(corners[-1])
    return np.stack(path)


def square_to_disc(u: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Elliptical grid mapping of the square [-1, 1]^2 onto the unit disc.

    Reference: Fong, Analytical Methods for Squaring the Disc, arXiv:1509.06344, section 3.
    """
    return np.asarray(u * np.sqrt(1.0 - v**2 / 2.0)), np.asarray(v * np.sqrt(1.0 - u**2 / 2.0))


class MeshBuilder:
    """Collects parts with their surfaces and joins them into one mesh."""

    def __init__(self) -> None:
        """Start without parts."""
        self._vertices: list[FloatArray] = []
        self._faces: list[IntArray] = []
        self._uv: list[FloatArray] = []
        self._material_ids: list[IntArray] = []
        self._materials: list[Material] = []
        self._n_vertices = 0

    def add(self, part: Part, surfaces: Surface | Sequence[Surface]) -> None:
        """Append a part, painted with one surface or with one surface per face group."""
        if isinstance(surfaces, Surface):
            surfaces = [surfaces] * (int(part.groups.max()) + 1)
        corners = part.vertices[part.faces]
        uv = np.empty((len(part.faces), 3, 2))
        ids = np.empty(len(part.faces), dtype=np.int64)
        for group in np.unique(part.groups):
            chosen = part.groups == group
            uv[chosen] = surfaces[group].uv(corners[chosen])
            ids[chosen] = self._material_id(surfaces[group].material)
        self._faces.append(part.faces + self._n_vertices)
        self._vertices.append(part.vertices)
        self._uv.append(uv)
        self._material_ids.append(ids)
        self._n_vertices += len(part.vertices)

    def _material_id(self, material: Material) -> int:
        for index, known in enumerate(self._materials):
            if known is material:
                return index
        self._materials.append(material)
        return len(self._materials) - 1

    def build(self) -> tuple[Mesh, FloatArray, float]:
        """Mesh in model units, with the box centre and the half length that were taken out.

        Returns:
            The mesh, whose longest dimension spans [-1, 1] about the origin; the former centre of
            its bounding box, shape (3,); the former length of one model unit.
        """
        vertices = np.concatenate(self._vertices)
        faces = np.concatenate(self._faces)
        minimum, maximum = vertices.min(axis=0), vertices.max(axis=0)
        center, unit = (minimum + maximum) / 2.0, float((maximum - minimum).max() / 2.0)
        mesh = Mesh(
            vertices=((vertices - center) / unit).astype(np.float32),
            faces=faces.astype(np.int32),
            corner_normals=corner_normals(vertices, faces).astype(np.float32),
            corner_uv=np.concatenate(self._uv).astype(np.float32),
            material_ids=np.concatenate(self._material_ids).astype(np.int32),
            materials=tuple(self._materials),
        )
        return mesh, center, unit
