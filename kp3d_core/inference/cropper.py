"""Pixels of a virtual camera, taken from the full image."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.crop import CropCamera
from kp3d_core.inference.camera import CameraModel

FloatArray = NDArray[np.float64]

_FAR = 3e4
"""Pixel coordinates beyond this mean "outside"; OpenCV's remap keeps them in 16 bits."""
_SAMPLE_STEP = 2.0
"""Largest distance between samples [image px]; bilinear interpolation covers that much. Against
rendered crops this gives 35 to 44 dB at shrink factors 1.7 to 8, one sample a pixel 24 to 35 dB."""
_MAX_SHRINK = 4.0
"""Larger images are first averaged over blocks until they shrink by this at least: cheaper."""


def extract_crop(
    image: NDArray[np.uint8], camera: CameraModel, crop: CropCamera
) -> NDArray[np.uint8]:
    """Image of shape (S, S, C) that the crop camera sees; black where the full image ends.

    Lens distortion is removed on the way. Where the crop shrinks the image, each of its pixels is
    the mean of several samples, as in the rendered training views, so that nothing aliases.
    """
    u, v = _source_pixels(camera, crop)
    left, right = max(math.floor(u.min()) - 1, 0), min(math.ceil(u.max()) + 2, camera.width)
    top, bottom = max(math.floor(v.min()) - 1, 0), min(math.ceil(v.max()) + 2, camera.height)
    if right <= left or bottom <= top:
        return np.zeros((crop.size, crop.size, *image.shape[2:]), image.dtype)

    shrink = _shrink_factor(u, v)
    block = max(1, int(shrink / _MAX_SHRINK))
    samples = max(1, math.ceil(shrink / block / _SAMPLE_STEP))
    part = image[top:bottom, left:right]
    if block > 1:
        part = _average_blocks(part, block)
    crop_image = cv2.remap(
        part,
        _refine((u - left + 0.5) / block - 0.5, samples),
        _refine((v - top + 0.5) / block - 0.5, samples),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    if samples > 1:
        size_wh = (crop.size, crop.size)
        crop_image = cv2.resize(crop_image, size_wh, interpolation=cv2.INTER_AREA)
    return np.asarray(crop_image, np.uint8)


def _source_pixels(camera: CameraModel, crop: CropCamera) -> tuple[FloatArray, FloatArray]:
    """Columns and rows in the full image of every crop pixel and of a border of one around them.

    Two arrays of shape (S + 2, S + 2).
    """
    to_camera = crop.R_crop_camera.T @ np.linalg.inv(crop.K_crop)
    step = np.arange(-1, crop.size + 1, dtype=np.float64)
    along_u = np.outer(to_camera[:, 0], step)[:, None, :]
    along_v = (np.outer(to_camera[:, 1], step) + to_camera[:, 2:])[:, :, None]
    u, v = camera.project_xyz(*(along_u + along_v))
    return np.clip(u, -_FAR, _FAR), np.clip(v, -_FAR, _FAR)


def _shrink_factor(u: FloatArray, v: FloatArray) -> float:
    """Full-image pixels per crop pixel in the middle of the crop."""
    i = len(u) // 2
    area = (u[i, i] - u[i, i - 1]) * (v[i, i] - v[i - 1, i])
    area -= (u[i, i] - u[i - 1, i]) * (v[i, i] - v[i, i - 1])
    return math.sqrt(abs(area))


def _refine(source: FloatArray, samples: int) -> NDArray[np.float32]:
    """Source positions of `samples` x `samples` points in every crop pixel, without the border.

    Linear between the pixels: over one of them even a strong distortion is straight.
    """
    size_wh = (len(source) * samples, len(source) * samples)
    fine = cv2.resize(source.astype(np.float32), size_wh, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(fine[samples:-samples, samples:-samples], np.float32)


def _average_blocks(image: NDArray[np.uint8], block: int) -> NDArray[np.uint8]:
    """Mean over blocks of `block` x `block` pixels; the last ones are filled up with black."""
    height, width = image.shape[:2]
    right, bottom = -width % block, -height % block
    if right or bottom:
        image = np.pad(image, ((0, bottom), (0, right), (0, 0)))
    size_wh = (image.shape[1] // block, image.shape[0] // block)
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
