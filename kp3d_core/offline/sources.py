"""Images from files, folders and videos, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
_MAX_SIDE_PX = 16384
_DEFAULT_RATE_HZ = 30.0


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a source."""

    path: Path
    """File that it comes from."""
    number: int
    """Position in a video, from 0; 0 for an image."""
    time_s: float
    """Time in a video, from 0 [s]; 0 for an image."""
    image: NDArray[np.uint8]
    """RGB, shape (H, W, 3)."""


def find_files(sources: Sequence[Path]) -> list[Path]:
    """Images and videos in the order given; those of a folder by name, folders in it left out.

    Raises:
        ValueError: a path that is not there, or of no known type, or a folder without any.
    """
    files: list[Path] = []
    problems: list[str] = []
    for source in sources:
        if source.is_dir():
            inside = [path for path in sorted(source.iterdir()) if _is_known(path)]
            if not inside:
                problems.append(f"{source} holds no image or video")
            files += inside
        elif not source.is_file():
            problems.append(f"{source} is not there")
        elif not _is_known(source):
            problems.append(f"{source} has an unknown type")
        else:
            files.append(source)
    if problems:
        known = " ".join((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))
        raise ValueError(
            f"Images, videos or folders of them are expected, but {'; '.join(problems)}. "
            f"Known types: {known}."
        )
    return files


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its name."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def read_frames(path: Path) -> Iterator[Frame]:
    """The image of a file, or all images of a video.

    Raises:
        ValueError: it cannot be decoded, or is too large.
    """
    if not is_video(path):
        yield Frame(path, 0, 0.0, _read_image(path))
        return
    capture = cv2.VideoCapture(str(path))
    try:
        rate_hz = capture.get(cv2.CAP_PROP_FPS)
        rate_hz = rate_hz if 0.1 < rate_hz < 1000 else _DEFAULT_RATE_HZ
        number = 0
        while True:
            is_there, bgr = capture.read()
            if not is_there:
                break
            image = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
            yield Frame(path, number, number / rate_hz, image)
            number += 1
    finally:
        capture.release()
    if not number:
        raise ValueError(f"{path} cannot be decoded as a video. Is it whole? Convert it to MP4.")


def frame_count(path: Path) -> int:
    """Number of images in a file; what a video says of itself, at least 1."""
    if not is_video(path):
        return 1
    capture = cv2.VideoCapture(str(path))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return max(count, 1)


def _read_image(path: Path) -> NDArray[np.uint8]:
    try:
        data = np.fromfile(path, np.uint8)
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error) as error:
        raise ValueError(f"{path} cannot be read: {_first_line(error)}.") from error
    if bgr is None:
        raise ValueError(f"{path} cannot be decoded as an image. Is it whole?")
    if max(bgr.shape[:2]) > _MAX_SIDE_PX:
        raise ValueError(
            f"{path} must be at most {_MAX_SIDE_PX} px wide and high, got {bgr.shape[1]} x "
            f"{bgr.shape[0]}. Scale it down."
        )
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _is_known(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES) and not path.name.startswith(".")


def _first_line(error: Exception) -> str:
    text = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return text.strip().splitlines()[0].rstrip(".")
