"""Objects to grasp, as files that PyBullet loads: drawn surfaces and convex pieces for contact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray

from kp3d_core.data.procedural import make_instance
from kp3d_core.rendering.mesh import Material, Mesh

FloatArray = NDArray[np.float64]

FIRST_SEED = 30_000_100
"""Mugs of this seed and above: in no training, validation or test set."""
LIQUID = "drink"
"""Material that is drawn, but stops no finger."""
_DENSITY_KG_M3 = 2300.0
"""Of stoneware."""
_MASS_KG = (0.08, 0.5)
_LEAST_M3 = 1e-10
_CONCAVITY = 0.1
"""Where CoACD stops: about 65 convex pieces for a mug."""


@dataclass(frozen=True)
class GraspObject:
    """An object in its own frame (x forward, y left, z up, box centred on the origin) [m]."""

    name: str
    mesh: Mesh
    """Vertices in metres."""
    landmarks: dict[str, FloatArray]
    """Named points, shape (3,) [m]; the corners of its box where nobody named any."""

    @property
    def size_m(self) -> FloatArray:
        """Extent of its bounding box, shape (3,) [m]."""
        low, high = self.mesh.bounds.astype(np.float64)
        return np.asarray(high - low)


def made_mug(seed: int) -> GraspObject:
    """A mug of the built-in generator, at its real size."""
    item = make_instance("mug", seed)
    unit = item.metres_per_unit
    landmarks = {
        name: np.asarray(point, np.float64) * unit for name, point in item.landmarks.items()
    }
    return GraspObject(f"mug_{seed}", _scaled(item.mesh, unit), landmarks)


def read_mug(path: Path, up: str = "z", front: str = "x", size_m: float = 0.12) -> GraspObject:
    """A mug from a mesh file.

    Args:
        path: OBJ, GLB or another format that `kp3d import` reads.
        up: axis of the file that points up, such as "z" or "-y".
        front: axis of the file that points to the handle.
        size_m: longest dimension [m].
    """
    from kp3d_core.objects.meshes.orientation import turn_of_axes
    from kp3d_core.objects.meshes.reading import read_file, turned

    mesh = turned(read_file(path, path.parent)[0], turn_of_axes(up, front))
    low, high = mesh.bounds
    centred = _moved(mesh, -(low + high) / 2)
    mug = GraspObject(path.stem, _scaled(centred, size_m / float((high - low).max())), {})
    low, high = mug.mesh.bounds.astype(np.float64)
    corners = {
        f"corner_{x}{y}{z}": np.where([x, y, z], high, low)
        for x in (0, 1)
        for y in (0, 1)
        for z in (0, 1)
    }
    return GraspObject(mug.name, mug.mesh, corners)


def write_urdf(item: GraspObject, folder: Path) -> Path:
    """Write what PyBullet needs of an object; done once for a folder.

    Args:
        item: the object.
        folder: for its files, made where it does not exist.

    Returns:
        The URDF file: one link whose frame is the object's.
    """
    urdf = folder / f"{item.name}.urdf"
    if urdf.exists():
        return urdf
    folder.mkdir(parents=True, exist_ok=True)
    visuals = [
        _write_surface(item, index, material, folder)
        for index, material in enumerate(item.mesh.materials)
        if (item.mesh.material_ids == index).any()
    ]
    solid = _solid(item.mesh)
    pieces = _convex_pieces(solid)
    contact = folder / f"{item.name}_contact.obj"
    _write_pieces(pieces, contact)
    volume = sum(piece.volume for piece in pieces)
    center = sum(piece.volume * piece.center_mass for piece in pieces) / volume
    mass = float(np.clip(_DENSITY_KG_M3 * volume, *_MASS_KG))
    urdf.write_text(_urdf(item.name, visuals, contact, mass, center))
    return urdf


def _scaled(mesh: Mesh, factor: float) -> Mesh:
    return _with_vertices(mesh, mesh.vertices * np.float32(factor))


def _moved(mesh: Mesh, offset: NDArray[np.float32]) -> Mesh:
    return _with_vertices(mesh, mesh.vertices + offset.astype(np.float32))


def _with_vertices(mesh: Mesh, vertices: NDArray[np.float32]) -> Mesh:
    return replace(mesh, vertices=vertices)


def _solid(mesh: Mesh) -> trimesh.Trimesh:
    """What can be touched."""
    touched = [index for index, item in enumerate(mesh.materials) if item.name != LIQUID]
    faces = mesh.faces[np.isin(mesh.material_ids, touched)]
    return trimesh.Trimesh(mesh.vertices.astype(np.float64), faces)


def _convex_pieces(solid: trimesh.Trimesh) -> list[trimesh.Trimesh]:
    import coacd

    coacd.set_log_level("error")
    # A finger does not feel half a millimetre: this coarse search takes a second of one core, the
    # default a minute.
    pieces = coacd.run_coacd(
        coacd.Mesh(solid.vertices, solid.faces),
        threshold=_CONCAVITY,
        preprocess_mode="off" if solid.is_watertight else "on",
        preprocess_resolution=30,
        resolution=200,
        mcts_iterations=4,
        mcts_max_depth=1,
        mcts_nodes=5,
        merge=False,
        max_ch_vertex=32,
        decimate=True,
        seed=1,
    )
    # A cut along a facet leaves a piece without a volume.
    whole = [v for v, _ in pieces if np.linalg.matrix_rank(v - v[0]) == 3]
    hulls = [trimesh.convex.convex_hull(vertices) for vertices in whole]
    return [hull for hull in hulls if hull.volume > _LEAST_M3]


def _write_pieces(pieces: Sequence[trimesh.Trimesh], path: Path) -> None:
    """An OBJ file with an object for each piece, which PyBullet takes for convex hulls."""
    lines, first = [], 1
    for number, piece in enumerate(pieces):
        lines.append(f"o piece_{number}")
        lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in piece.vertices]
        lines += [f"f {a} {b} {c}" for a, b, c in piece.faces + first]
        first += len(piece.vertices)
    path.write_text("\n".join(lines) + "\n")


def _write_surface(item: GraspObject, index: int, material: Material, folder: Path) -> str:
    """The triangles of one material as an OBJ file; returns the URDF's element."""
    chosen = item.mesh.material_ids == index
    stem = f"{item.name}_{index}"
    header = []
    color = np.clip(material.base_color.astype(np.float64), 0, 1)
    if material.texture is not None:
        image = np.clip(material.texture * color, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{stem}.png"), image[..., ::-1])
        (folder / f"{stem}.mtl").write_text(f"newmtl m\nKd 1 1 1\nmap_Kd {stem}.png\n")
        header = [f"mtllib {stem}.mtl", "usemtl m"]
        color = np.ones(3)
    corners = item.mesh.vertices[item.mesh.faces[chosen]].reshape(-1, 3)
    lines = [*header, *_lines("v", corners)]
    lines += _lines("vt", item.mesh.corner_uv[chosen].reshape(-1, 2))
    lines += _lines("vn", item.mesh.corner_normals[chosen].reshape(-1, 3))
    if header:  # a reader takes the material that is named before the faces
        lines.append("usemtl m")
    lines += [
        "f " + " ".join(f"{i}/{i}/{i}" for i in (k, k + 1, k + 2))
        for k in range(1, len(corners) + 1, 3)
    ]
    (folder / f"{stem}.obj").write_text("\n".join(lines) + "\n")
    rgba = " ".join(f"{value:.4f}" for value in [*color, 1.0])
    return (
        f'<visual><geometry><mesh filename="{stem}.obj"/></geometry>'
        f'<material name="{stem}"><color rgba="{rgba}"/></material></visual>'
    )


def _lines(word: str, rows: NDArray[np.floating]) -> list[str]:
    return [f"{word} " + " ".join(f"{value:.6f}" for value in row) for row in rows]


def _urdf(name: str, visuals: list[str], contact: Path, mass: float, center: FloatArray) -> str:
    at = " ".join(f"{value:.6f}" for value in center)
    inertia = 2e-3 * mass  # of a body of a few centimetres; contact does not depend on it
    return f"""<robot name="{name}"><link name="{name}">
<contact><lateral_friction value="0.8"/><rolling_friction value="0.0005"/>
<spinning_friction value="0.002"/></contact>
<inertial><origin xyz="{at}"/><mass value="{mass:.4f}"/>
<inertia ixx="{inertia:.6f}" ixy="0" ixz="0" iyy="{inertia:.6f}" iyz="0" izz="{inertia:.6f}"/>
</inertial>
{chr(10).join(visuals)}
<collision><geometry><mesh filename="{contact.name}"/></geometry></collision>
</link></robot>
"""
