"""Pixels of a virtual camera, taken from the full image."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.arrays import det, inv
from kp3d_core.geometry.crop import CropCamera, uncrop_homography
from kp3d_core.inference.camera import CameraModel

FloatArray = NDArray[np.float64]

_FAR = 3e4
"""Pixel coordinates beyond this mean "outside"; OpenCV's remap keeps them in 16 bits."""
_SAMPLE_STEP = 2.0
"""Largest distance between samples [image px]; bilinear interpolation covers that much. Against
rendered crops this gives 35 to 44 dB at shrink factors 1.7 to 8, one sample a pixel 24 to 35 dB."""
_MIN_DEPTH = 0.1
"""Of a corner of the crop, relative to that of its middle: closer to the image plane, let alone
behind it, a homography puts it at the end of the world."""
_LEAST_SHRINK = 2.5
"""Larger images are first halved as often as leaves them to shrink by this at least: cheaper."""


def extract_crop(
    image: NDArray[np.uint8], camera: CameraModel, crop: CropCamera
) -> NDArray[np.uint8]:
    """Image of shape (S, S, C) that the crop camera sees; black where the full image ends.

    Lens distortion is removed on the way. Where the crop shrinks the image, each of its pixels is
    the mean of several samples, as in the rendered training views, so that nothing aliases.
    """
    source = _Straight.of(camera, crop) or _Bent(camera, crop)
    u, v = source.outline
    left, right = max(math.floor(u.min()) - 1, 0), min(math.ceil(u.max()) + 2, camera.width)
    top, bottom = max(math.floor(v.min()) - 1, 0), min(math.ceil(v.max()) + 2, camera.height)
    if right <= left or bottom <= top:
        return np.zeros((crop.size, crop.size, *image.shape[2:]), image.dtype)

    halvings = max(0, math.floor(math.log2(max(source.shrink / _LEAST_SHRINK, 1.0))))
    block = 2**halvings
    # One sample would see less than all blocks.
    samples = max(min(block, 2), math.ceil(source.shrink / block / _SAMPLE_STEP))
    part = _halved(image[top:bottom, left:right], halvings)
    sampled = source.sample(part, (left, top), block, samples)
    if samples > 1:
        size_wh = (crop.size, crop.size)
        return np.asarray(cv2.resize(sampled, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    return sampled


class _Straight:
    """Where a crop's pixels lie in an image without distortion: a homography, twice as fast."""

    def __init__(self, H: FloatArray, size: int, outline: FloatArray, shrink: float) -> None:
        """Homography from pixels of the crop to those of the image, and what follows from it."""
        self._H, self._size = H, size
        self.outline = outline
        """Image pixels around all that the crop shows, columns and rows: (2, 4)."""
        self.shrink = shrink
        """Image pixels per crop pixel in the middle of the crop."""

    @classmethod
    def of(cls, camera: CameraModel, crop: CropCamera) -> _Straight | None:
        """None where the lens distorts, or the crop looks almost past the image plane."""
        if not camera.is_pinhole:
            return None
        H = uncrop_homography(camera.K, crop.K_crop, crop.R_crop_camera)
        low, high = -1.0, float(crop.size)
        corners = H @ np.array([[low, high, high, low], [low, low, high, high], 4 * [1.0]])
        middle = H[2] @ [(crop.size - 1) / 2, (crop.size - 1) / 2, 1.0]
        if corners[2].min() < _MIN_DEPTH * abs(middle):
            return None
        # The Jacobian of p -> H p / w has the determinant det(H) / w^3.
        shrink = math.sqrt(abs(det(H) / middle**3))
        return cls(H, crop.size, corners[:2] / corners[2], shrink)

    def sample(
        self, part: NDArray[np.uint8], corner: tuple[int, int], block: int, samples: int
    ) -> NDArray[np.uint8]:
        """`samples` x `samples` points of every crop pixel, from a part of the image.

        Args:
            part: of the image, averaged over blocks.
            corner: its first column and row in the image.
            block: size of the blocks [px].
            samples: points along each side of a crop pixel.
        """
        into_part = _scaling(1 / block) @ [[1, 0, -corner[0]], [0, 1, -corner[1]], [0, 0, 1]]
        size_wh = (self._size * samples, self._size * samples)
        return np.asarray(
            cv2.warpPerspective(
                part,
                into_part @ self._H @ _scaling(1 / samples),
                size_wh,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=0,
            ),
            np.uint8,
        )


class _Bent:
    """The same of an image through any lens; members as of `_Straight`."""

    def __init__(self, camera: CameraModel, crop: CropCamera) -> None:
        """Project every crop pixel and a border of one around them, (S + 2, S + 2)."""
        to_camera = crop.R_crop_camera.T @ inv(crop.K_crop)
        step = np.arange(-1, crop.size + 1, dtype=np.float64)
        along_u = np.outer(to_camera[:, 0], step)[:, None, :]
        along_v = (np.outer(to_camera[:, 1], step) + to_camera[:, 2:])[:, :, None]
        self.outline = np.clip(camera.project_xyz(*(along_u + along_v)), -_FAR, _FAR)
        self.shrink = self._middle_shrink()

    def sample(
        self, part: NDArray[np.uint8], corner: tuple[int, int], block: int, samples: int
    ) -> NDArray[np.uint8]:
        """See `_Straight.sample`."""
        columns, rows = (
            _refine((source - first + 0.5) / block - 0.5, samples)
            for source, first in zip(self.outline, corner, strict=True)
        )
        return np.asarray(
            cv2.remap(
                part,
                columns,
                rows,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=0,
            ),
            np.uint8,
        )

    def _middle_shrink(self) -> float:
        u, v = self.outline
        i = len(u) // 2
        area = (u[i, i] - u[i, i - 1]) * (v[i, i] - v[i - 1, i])
        area -= (u[i, i] - u[i - 1, i]) * (v[i, i] - v[i, i - 1])
        return math.sqrt(abs(area))


def _scaling(factor: float) -> FloatArray:
    """Homography to pixels of an image that is `factor` times as large; the outer edges stay."""
    offset = (factor - 1) / 2
    return np.array([[factor, 0, offset], [0, factor, offset], [0, 0, 1]])


def _refine(source: FloatArray, samples: int) -> NDArray[np.float32]:
    """Source positions of `samples` x `samples` points in every crop pixel, without the border.

    Linear between the pixels: over one of them even a strong distortion is straight.
    """
    size_wh = (len(source) * samples, len(source) * samples)
    fine = cv2.resize(source.astype(np.float32), size_wh, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(fine[samples:-samples, samples:-samples], np.float32)


def _halved(image: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    """Mean over blocks of 2 ** times pixels on each side; the last are filled up with black.

    Step by step: OpenCV averages blocks of 2 x 2 pixels many times as fast as others.
    """
    height, width = image.shape[:2]
    right, bottom = -width % 2**times, -height % 2**times
    if right or bottom:
        image = np.pad(image, ((0, bottom), (0, right), (0, 0)))
    for _ in range(times):
        size_wh = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    return image
