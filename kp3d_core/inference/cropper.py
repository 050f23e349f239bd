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


def extract_crop(
    image: NDArray[np.uint8], camera: CameraModel, crop: CropCamera
) -> NDArray[np.uint8]:
    """Image of shape (S, S, C) that the crop camera sees; black where the full image ends.

    Lens distortion is removed on the way. Where the crop shrinks the image, the part of the image
    that it needs is first averaged over whole blocks of pixels, so that nothing aliases; what is
    left for the bilinear sampling is a zoom by 0.67 to 1.5.
    """
    u, v = _source_pixels(camera, crop)
    left, right = max(math.floor(u.min()) - 1, 0), min(math.ceil(u.max()) + 2, camera.width)
    top, bottom = max(math.floor(v.min()) - 1, 0), min(math.ceil(v.max()) + 2, camera.height)
    if right <= left or bottom <= top:
        return np.zeros((crop.size, crop.size, *image.shape[2:]), image.dtype)

    block = max(1, round(_shrink_factor(u, v)))
    part = image[top:bottom, left:right]
    if block > 1:
        part = _average_blocks(part, block)
    u, v = ((axis - first + 0.5) / block - 0.5 for axis, first in ((u, left), (v, top)))
    crop_image = cv2.remap(
        part,
        u.astype(np.float32),
        v.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return np.asarray(crop_image, np.uint8)


def _source_pixels(camera: CameraModel, crop: CropCamera) -> tuple[FloatArray, FloatArray]:
    """Columns and rows in the full image of every crop pixel, two arrays of shape (S, S)."""
    to_camera = crop.R_crop_camera.T @ np.linalg.inv(crop.K_crop)
    step = np.arange(crop.size, dtype=np.float64)
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


def _average_blocks(image: NDArray[np.uint8], block: int) -> NDArray[np.uint8]:
    """Mean over blocks of `block` x `block` pixels; the last ones are filled up with black."""
    height, width = image.shape[:2]
    right, bottom = -width % block, -height % block
    if right or bottom:
        image = np.pad(image, ((0, bottom), (0, right), (0, 0)))
    size_wh = (image.shape[1] // block, image.shape[0] // block)
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
