"""Imported meshes in eight views each, to check by eye which way they face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.objects.meshes.importing import ImportedMesh
from kp3d_core.objects.meshes.reading import turned
from kp3d_core.rendering.packing import pack
from kp3d_core.rendering.rasterizer import render

_SIZE = 112
_ELEVATION_DEG = 25.0
_DISTANCE = 5.0
_ROWS = 12
"""Meshes on a page."""
_VIEWS = ("front", "", "left", "", "back", "", "right", "")
_RED, _INK = (220, 40, 40), (30, 30, 30)


def write_contact_sheets(meshes: Sequence[ImportedMesh], folder: Path) -> list[Path]:
    """Write `sheet_1.png` and so on; a red arrow on each picture points to the front (+x)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for page in range(0, len(meshes), _ROWS):
        rows = [_row(item) for item in meshes[page : page + _ROWS]]
        path = folder / f"sheet_{page // _ROWS + 1}.png"
        picture = np.vstack([_heading(rows[0].shape[1]), *rows])
        cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        paths.append(path)
    return paths


def _row(item: ImportedMesh) -> NDArray[np.uint8]:
    mesh = pack(turned(item.mesh, item.R_object_file))
    focal = 0.42 * _SIZE * _DISTANCE
    K = np.array([[focal, 0, (_SIZE - 1) / 2], [0, focal, (_SIZE - 1) / 2], [0, 0, 1.0]])
    tiles = []
    for step in range(len(_VIEWS)):
        T = _look_at(45.0 * step)
        drawn = render(mesh, K, T, _SIZE, _SIZE)
        cover = drawn.alpha[..., None] / 255.0
        tile = np.uint8(np.clip(drawn.rgb + (1 - cover) * 245, 0, 255))
        tiles.append(_with_arrow(np.ascontiguousarray(tile), K, T))
    row = np.hstack(tiles)
    cv2.putText(row, item.name, (4, _SIZE - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.38, _INK, 1, 16)
    return np.asarray(row, np.uint8)


def _with_arrow(
    tile: NDArray[np.uint8], K: NDArray[np.float64], T: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Draw the forward direction on the ground in front of the object."""
    ends = np.array([[0.0, 0.0, -1.05], [1.15, 0.0, -1.05]]) @ T[:3, :3].T + T[:3, 3]
    uv = ends @ K.T
    (u0, v0), (u1, v1) = np.round(uv[:, :2] / uv[:, 2:]).astype(int).tolist()
    return np.asarray(cv2.arrowedLine(tile, (u0, v0), (u1, v1), _RED, 1, 16, 0, 0.2), np.uint8)


def _look_at(azimuth_deg: float) -> NDArray[np.float64]:
    """Camera on a circle around the object that looks at its middle; 0 sees the front."""
    azimuth, elevation = np.radians([azimuth_deg, _ELEVATION_DEG])
    eye = _DISTANCE * np.array(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    z = -eye / _DISTANCE
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3] = np.stack([x, np.cross(z, x), z])
    T[:3, 3] = -T[:3, :3] @ eye
    return T


def _heading(width: int) -> NDArray[np.uint8]:
    bar = np.full((18, width, 3), 225, np.uint8)
    for step, text in enumerate(_VIEWS):
        cv2.putText(bar, text, (step * _SIZE + 4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, _INK, 1, 16)
    return bar
