"""One picture of all objects with their true axes and those that were found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.photographs.figures import Measured
from kp3d_core.evaluation.photographs.truth import LabelledObject
from kp3d_core.inference.camera import CameraModel

_TILE = 192
"""Side of an object's picture [px]."""
_COLUMNS = 6
_MARGIN = 1.5
"""Side of what is shown, in units of the box's larger side."""
_AXES = ((255, 60, 60), (60, 220, 60), (80, 140, 255))
"""Colours of forward, left and up."""
_ACCEPTED, _REFUSED = (120, 255, 120), (255, 160, 60)


@dataclass(frozen=True, eq=False)
class SheetEntry:
    """An object, its photograph and what was found."""

    image: NDArray[np.uint8]
    """RGB."""
    camera: CameraModel
    labelled: LabelledObject
    T_camera_object: NDArray[np.float64]
    """Found."""
    measured: Measured


def write_sheet(path: Path, entries: Sequence[SheetEntry]) -> None:
    """Write the picture: true axes thin and white, those found thick and coloured.

    Under each object stand the errors of azimuth and rotation, green if it was accepted.
    """
    tiles = [_tile(entry) for entry in entries]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[k : k + _COLUMNS]) for k in range(0, len(tiles), _COLUMNS)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def _tile(entry: SheetEntry) -> NDArray[np.uint8]:
    region, measured = entry.labelled.region, entry.measured
    zoom = _TILE / (_MARGIN * max(region.width, region.height))
    corner = np.array([region.x + region.width / 2, region.y + region.height / 2])
    corner = corner - _TILE / zoom / 2
    into_tile = np.array([[zoom, 0, -zoom * corner[0]], [0, zoom, -zoom * corner[1]]])
    tile = cv2.warpAffine(entry.image, into_tile, (_TILE, _TILE), flags=cv2.INTER_AREA)
    half = 0.5 * np.array(entry.labelled.size_lwh_m)
    true = entry.labelled.T_camera_object
    # Found axes start at the true origin: the sheet shows orientations.
    found = true.copy()
    found[:3, :3] = entry.T_camera_object[:3, :3]
    for T, thickness in ((found, 3), (true, 1)):
        for axis in (2, 1, 0):
            tip = np.zeros(3)
            tip[axis] = half[axis]
            ends = np.stack([T[:3, 3], T[:3, :3] @ tip + T[:3, 3]])
            if ends[:, 2].min() <= 0:
                continue
            pixels = (entry.camera.project(ends) - corner) * zoom
            first, second = ((round(float(u)), round(float(v))) for u, v in pixels)
            color = _AXES[axis] if thickness > 1 else (255, 255, 255)
            cv2.arrowedLine(tile, first, second, color, thickness, cv2.LINE_AA, tipLength=0.15)
    text = f"az {measured.azimuth_error_deg:.0f}  rot {measured.rotation_error_deg:.0f} deg"
    color = _ACCEPTED if measured.accepted else _REFUSED
    scale = 0.4 * math.sqrt(_TILE / 192)
    cv2.rectangle(tile, (0, _TILE - 18), (_TILE, _TILE), (0, 0, 0), -1)
    cv2.putText(tile, text, (4, _TILE - 5), cv2.FONT_HERSHEY_SIMPLEX, scale, color, 1, cv2.LINE_AA)
    return np.asarray(tile, np.uint8)
