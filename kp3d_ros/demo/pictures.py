"""Pictures of what the node said: a sheet of images with overlay, and an animation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points
from kp3d_ros.demo import scene
from kp3d_ros.demo.film import Film
from kp3d_ros.demo.measure import FrameResult
from kp3d_ros.demo.stream import Recording

Rgb = NDArray[np.uint8]

_SHIFT = 4
"""OpenCV draws at 1/16 pixel."""
_AXIS_LENGTH_M = 0.45 * scene.OBJECT_SIZE_M
_AXIS_RGB = ((235, 50, 50), (40, 190, 60), (50, 90, 245))
_WHITE, _DARK = (255, 255, 255), (30, 34, 40)
TILE_WH = (560, 420)
"""Size of one picture on the sheet [px]."""
_WINDOW_WH = (400, 300)
"""Part of an image that such a picture shows [px]."""
GIF_WIDTH, GIF_RATE_HZ = 320, 10.0


def draw(film: Film, recording: Recording, result: FrameResult) -> Rgb:
    """One image at twice its size: keypoints, skeleton, estimated and true axes."""
    size_wh = (2 * scene.WIDTH, 2 * scene.HEIGHT)
    original = film.image(result.index)
    image = np.asarray(cv2.resize(original, size_wh, interpolation=cv2.INTER_CUBIC), np.uint8)
    layout, instances = recording.layout, recording.keypoints[result.stamp].instances
    if layout is None or not instances:
        return image
    uv = np.array([(keypoint.u, keypoint.v) for keypoint in instances[0].keypoints])
    colors = [tuple(round(255 * c) for c in (color.r, color.g, color.b)) for color in layout.colors]
    for start, end in np.reshape(list(layout.edges), (-1, 2)):
        cv2.line(image, _fixed(uv[start]), _fixed(uv[end]), _WHITE, 2, cv2.LINE_AA, _SHIFT)
    _draw_axes(image, result.T_camera_object, width=8, true_pose=False)
    _draw_axes(image, film.T_camera_object[result.index], width=2, true_pose=True)
    for point, color in zip(uv, colors, strict=True):
        for radius, fill in ((11, _DARK), (10, _WHITE), (8, color)):
            cv2.circle(image, _fixed(point), radius << _SHIFT, fill, -1, cv2.LINE_AA, _SHIFT)
    return image


def write_overlay(path: Path, film: Film, recording: Recording, results: list[FrameResult]) -> None:
    """The car in six images, evenly spread over the film, in two rows."""
    chosen = [results[round(i)] for i in np.linspace(0.04, 0.96, 6) * (len(results) - 1)]
    first = min(recording.sent)
    tiles: list[NDArray[Any]] = []
    for result in chosen:
        window = _window(film.boxes[result.index])
        image = cv2.resize(
            draw(film, recording, result)[window], TILE_WH, interpolation=cv2.INTER_AREA
        )
        text = (
            f"{(result.stamp - first) * 1e-9:4.1f} s   error of the rotation since the reference "
            f"{result.relative_rotation_deg:.1f} deg, of the pose "
            f"{result.absolute_rotation_deg:.1f} deg"
        )
        image = cv2.copyMakeBorder(image, 4, 28, 4, 4, cv2.BORDER_CONSTANT, value=_WHITE)
        at = (8, TILE_WH[1] + 22)
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _DARK, 1, cv2.LINE_AA)
        tiles.append(image)
    sheet = np.vstack([np.hstack(tiles[:3]), np.hstack(tiles[3:])])
    PillowImage.fromarray(sheet).save(path, optimize=True)


def write_animation(
    path: Path, film: Film, recording: Recording, results: list[FrameResult], rate_hz: float
) -> None:
    """The film with its overlay as an endless GIF."""
    by_index = {result.index: result for result in results}
    height = GIF_WIDTH * scene.HEIGHT // scene.WIDTH
    step = max(1, round(rate_hz / GIF_RATE_HZ))
    frames = []
    for index in range(0, len(film), step):
        result = by_index.get(index)
        image = draw(film, recording, result) if result else film.image(index)
        small = cv2.resize(image, (GIF_WIDTH, height), interpolation=cv2.INTER_AREA)
        frames.append(PillowImage.fromarray(small))
    # One palette for all frames, so that unchanged background costs nothing.
    palette = _palette(frames[:: max(1, len(frames) // 12)], film)
    small_frames = [
        frame.quantize(palette=palette, dither=PillowImage.Dither.NONE) for frame in frames
    ]
    small_frames[0].save(
        path,
        save_all=True,
        append_images=small_frames[1:],
        duration=round(1000 * step / rate_hz),
        loop=0,
        optimize=False,
    )


def _palette(frames: list[PillowImage.Image], film: Film) -> PillowImage.Image:
    """Colours for an animation: a quarter for the background, the rest for what moves on it."""
    still = PillowImage.fromarray(film.background).resize(frames[0].size)
    background = np.asarray(still, np.int16)
    images = [np.asarray(frame) for frame in frames]
    moving = [image[np.abs(image - background).max(axis=2) > 24] for image in images]
    pixels = PillowImage.fromarray(np.concatenate(moving)[None])
    colors = [*_colors(still.quantize(64)), *_colors(pixels.quantize(192))]
    palette = PillowImage.new("P", (1, 1))
    palette.putpalette([channel for color in colors for channel in color])
    return palette


def _colors(image: PillowImage.Image) -> list[list[int]]:
    return np.reshape(image.getpalette() or [], (-1, 3)).tolist()


def _window(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Part of a doubled image around the car, moved into the image where it would leave it."""
    x, y, width, height = box
    left = np.clip(x + width / 2 - _WINDOW_WH[0] / 2, 0, scene.WIDTH - _WINDOW_WH[0])
    top = np.clip(y + height / 2 - _WINDOW_WH[1] / 2, 0, scene.HEIGHT - _WINDOW_WH[1])
    rows = slice(2 * int(top), 2 * (int(top) + _WINDOW_WH[1]))
    return rows, slice(2 * int(left), 2 * (int(left) + _WINDOW_WH[0]))


def _draw_axes(image: Rgb, T_camera_object: Any, *, width: int, true_pose: bool) -> None:
    """Axes of the car from its origin: x red, y green, z blue; the true ones thin and white."""
    ends = np.vstack([np.zeros(3), np.eye(3) * _AXIS_LENGTH_M * (1.1 if true_pose else 1.0)])
    uv = project(transform_points(T_camera_object, ends), scene.camera_intrinsics())
    for end, color in zip(uv[1:], _AXIS_RGB, strict=True):
        shade = _WHITE if true_pose else color
        cv2.line(image, _fixed(uv[0]), _fixed(end), shade, width, cv2.LINE_AA, _SHIFT)


def _fixed(uv: Any) -> tuple[int, int]:
    """Pixel of the original image as OpenCV's fixed-point pixel of the doubled one."""
    u, v = np.round((2 * np.asarray(uv, np.float64) + 0.5) * (1 << _SHIFT)).astype(int)
    return int(u), int(v)
