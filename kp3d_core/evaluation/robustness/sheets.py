"""Pictures of what was tested, with the keypoints that the model found."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.figures import draw_keypoints, keypoint_sheet
from kp3d_core.evaluation.robustness.background_study import BackgroundStudy
from kp3d_core.evaluation.robustness.backgrounds import FAMILIES
from kp3d_core.evaluation.robustness.deformation_study import DeformationStudy
from kp3d_core.evaluation.robustness.scenes import Scene
from kp3d_core.evaluation.robustness.sweeps import Sweep, SweepRecord
from kp3d_core.evaluation.robustness.trials import Trial
from kp3d_core.inference import KeypointLayout

Image = NDArray[np.uint8]

_TILE_PX = 190
_SURROUNDINGS = 1.6
"""Side of a tile in sides of the object's box."""
_OUTSIDE_RGB = (70, 70, 90)
"""Beyond the border of the image."""
_RIGHT_RGB, _WRONG_RGB = (60, 200, 90), (230, 60, 50)
_TEXT_RGB = (240, 240, 240)
_BAR_PX = 22
_OBJECTS_SHOWN = 4


def write_sweep_sheet(
    path: Path, sweep: Sweep, record: SweepRecord, keypoints: KeypointLayout
) -> None:
    """Grid of example views before textures: one row per view, one column per value.

    A frame is green where front and back were told apart, red where not; below stand the error of
    the absolute rotation and "refused" where the detector refuses the result.
    """
    rows = [_captions([_format_value(sweep, value) for value in sweep.values])]
    for example in record.examples:
        tiles = []
        for look in example:
            assert look.scene is not None
            tiles.append(_scene_tile(look.scene, look.trials["textured"], keypoints))
        notes = [_note(look.trials["textured"]) for look in example]
        rows += [np.concatenate(tiles, axis=1), _captions(notes)]
    _write(path, np.concatenate(rows))


def write_background_sheet(path: Path, study: BackgroundStudy, keypoints: KeypointLayout) -> None:
    """Views before each family of textures, above the same views over black, object by object."""
    count = min(_OBJECTS_SHOWN, len(study.family))
    rows = []
    for i in range(count):
        families, shown = np.unique(study.family[i], return_index=True)
        cells = [[(i, int(v)) for v in shown]]
        pair = [
            keypoint_sheet(
                study.views[condition],
                study.predictions[condition],
                cells,
                keypoints.colors,
                keypoints.edges,
            )
            for condition in ("black", "textured, light")
        ]
        names = [FAMILIES[k] for k in families]
        rows += [_captions(names, pair[0].shape[1] // len(names)), *pair]
    _write(path, _stack(rows))


def write_deformation_sheet(
    path: Path, study: DeformationStudy, keypoints: KeypointLayout, views_shown: int = 2
) -> None:
    """Views of each object as it is and after each stretch, from left to right."""
    names = ["as it is", *study.moved]
    rows = []
    for views, predictions in study.examples:
        shapes, num_views = views.rgba.shape[:2]
        cells = [[(k, v) for k in range(shapes)] for v in range(min(views_shown, num_views))]
        rows.append(keypoint_sheet(views, predictions, cells, keypoints.colors, keypoints.edges))
    width = rows[0].shape[1] // len(names)
    _write(path, np.concatenate([_captions(names, width), *rows]))


def _scene_tile(scene: Scene, trial: Trial, keypoints: KeypointLayout) -> Image:
    """Square part of the image around the object, with keypoints and a frame."""
    left, top, right, bottom = scene.full_box
    side = max(_SURROUNDINGS * max(right - left, bottom - top), 8.0)
    scale = _TILE_PX / side
    origin = np.array([(left + right) / 2, (top + bottom) / 2]) - side / 2
    # Edges of pixels, not centres, map to each other: pixel p covers p - 0.5 to p + 0.5.
    offset = (-origin + 0.5) * scale - 0.5
    tile = cv2.warpAffine(
        _smoothed(scene.images["textured"], scale),
        np.column_stack([scale * np.eye(2), offset]),
        (_TILE_PX, _TILE_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=_OUTSIDE_RGB,
    )
    uv = trial.keypoints_uv * scale + offset
    drawn = draw_keypoints(
        np.asarray(tile, np.uint8), uv, keypoints.colors, keypoints.edges, zoom=1
    )
    color = _RIGHT_RGB if trial.flag_correct else _WRONG_RGB
    cv2.rectangle(drawn, (1, 1), (_TILE_PX - 2, _TILE_PX - 2), color, 2)
    return drawn


def _smoothed(image: Image, scale: float) -> Image:
    """Without the detail that a smaller picture cannot show."""
    if scale >= 0.8:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 / scale), np.uint8)


def _note(trial: Trial) -> str:
    return f"{trial.absolute_deg:.0f} deg" + ("" if trial.accepted else ", refused")


def _format_value(sweep: Sweep, value: float) -> str:
    return f"{value:g} {sweep.unit}"


def _captions(texts: list[str], width: int = _TILE_PX) -> Image:
    """A dark bar with one text per column."""
    bar = np.full((_BAR_PX, width * len(texts), 3), 25, np.uint8)
    for k, text in enumerate(texts):
        place = (k * width + 6, _BAR_PX - 7)
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(bar, text, place, font, 0.45, _TEXT_RGB, 1, cv2.LINE_AA)
    return bar


def _stack(rows: list[Image]) -> Image:
    """Rows one below the other, shorter ones filled up with black."""
    width = max(row.shape[1] for row in rows)
    return np.concatenate(
        [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
    )


def _write(path: Path, image: Image) -> None:
    cv2.imwrite(str(path), image[..., ::-1])
