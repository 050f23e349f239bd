"""Pixels of a virtual camera, taken from the full image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.crop import CropCamera
from kp3d_core.inference.camera import CameraModel

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
    uv = _source_pixels(camera, crop)
    left, top = np.floor(uv.min(axis=(0, 1))).astype(int) - 1
    right, bottom = np.ceil(uv.max(axis=(0, 1))).astype(int) + 2
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, camera.width), min(bottom, camera.height)
    if right <= left or bottom <= top:
        return np.zeros((crop.size, crop.size, *image.shape[2:]), image.dtype)

    block = max(1, round(_shrink_factor(uv)))
    part = image[top:bottom, left:right]
    if block > 1:
        part = _average_blocks(part, block)
    u, v = np.moveaxis(((uv - [left, top] + 0.5) / block - 0.5).astype(np.float32), -1, 0)
    crop_image = cv2.remap(
        part, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.asarray(crop_image, np.uint8)


def _source_pixels(camera: CameraModel, crop: CropCamera) -> NDArray[np.float64]:
    """Full-image pixel of every crop pixel, shape (S, S, 2)."""
    K_inverse = np.linalg.inv(crop.K_crop)
    to_camera = crop.R_crop_camera.T @ K_inverse
    u = np.arange(crop.size, dtype=np.float64)
    columns = np.outer(u, to_camera[:, 0])
    rows = np.outer(u, to_camera[:, 1]) + to_camera[:, 2]
    directions = rows[:, None, :] + columns[None, :, :]
    return np.clip(camera.project(directions), -_FAR, _FAR)


def _shrink_factor(uv: NDArray[np.float64]) -> float:
    """Full-image pixels per crop pixel in the middle of the crop."""
    middle = len(uv) // 2
    around = uv[middle - 1 : middle + 1, middle - 1 : middle + 1]
    step_u, step_v = around[0, 1] - around[0, 0], around[1, 0] - around[0, 0]
    return float(np.sqrt(abs(step_u[0] * step_v[1] - step_u[1] * step_v[0])))


def _average_blocks(image: NDArray[np.uint8], block: int) -> NDArray[np.uint8]:
    """Mean over blocks of `block` x `block` pixels; the last ones are filled up with black."""
    height, width = image.shape[:2]
    right, bottom = -width % block, -height % block
    if right or bottom:
        image = np.pad(image, ((0, bottom), (0, right), (0, 0)))
    size_wh = (image.shape[1] // block, image.shape[0] // block)
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
