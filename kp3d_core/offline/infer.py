"""A model on images and videos: every frame is answered, and who gets no object reads why."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.files import write_text
from kp3d_core.inference import CameraModel, Detector, ObjectTracker, Places, Region
from kp3d_core.inference.drawing import draw_overlay
from kp3d_core.inference.facts import facts_of
from kp3d_core.offline.calibration_file import camera_from_fov, resized
from kp3d_core.offline.records import CSV_COLUMNS, frame_record, keypoint_rows
from kp3d_core.offline.sources import Frame, is_video, read_frames

_LOST_TIMEOUT_S = 1.0
"""As in the node."""


@dataclass(frozen=True)
class InferSettings:
    """How images are looked at."""

    camera: CameraModel | None = None
    """Calibration of the images; scaled to theirs if the size differs."""
    fov_deg: float = 60.0
    """Horizontal field of view that stands in for a calibration [deg]."""
    boxes: tuple[Region, ...] = ()
    """Where to look in every image; the whole image is searched if there are none."""
    max_objects: int = 1
    """Most objects in one image."""


@dataclass
class Summary:
    """What became of the files."""

    records: list[dict[str, Any]] = field(default_factory=list)
    """One entry a frame, as in detections.json."""
    unreadable: list[str] = field(default_factory=list)
    """Why files were left out."""
    pictures: list[Path] = field(default_factory=list)
    """What was drawn."""

    @property
    def answered(self) -> int:
        """Frames with at least one object."""
        return sum(bool(record["objects"]) for record in self.records)


def infer(
    detector: Detector,
    files: Sequence[Path],
    output: Path,
    settings: InferSettings,
    on_frame: Callable[[Frame], None] = lambda frame: None,
) -> Summary:
    """Look at files and write overlays, detections.json and keypoints.csv.

    A file that cannot be read, or whose size the calibration does not fit, is left out and named.

    Raises:
        ValueError: a picture would overwrite one of the files.
    """
    pictures = _picture_paths(files, output)
    output.mkdir(parents=True, exist_ok=True)
    summary = Summary()
    for path, picture_path in zip(files, pictures, strict=True):
        drawing = _Drawing(picture_path, is_video(path))
        # Images have nothing to do with each other; frames of a video follow one another.
        tracker = ObjectTracker(
            detector, max_objects=settings.max_objects, lost_timeout_s=_LOST_TIMEOUT_S
        )
        try:
            for frame in read_frames(path):
                record, picture = _look(detector, tracker, frame, settings)
                summary.records.append(record)
                drawing.add(picture, frame.time_s)
                on_frame(frame)
        except ValueError as error:
            summary.unreadable.append(str(error))
        finally:
            drawing.close()
        summary.pictures += drawing.files
    _write(summary, detector, output)
    return summary


def _look(
    detector: Detector, tracker: ObjectTracker, frame: Frame, settings: InferSettings
) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Entry and picture of one frame."""
    height, width = frame.image.shape[:2]
    camera = (
        camera_from_fov(settings.fov_deg, width, height)
        if settings.camera is None
        else resized(settings.camera, width, height)
    )
    places = Places(boxes=settings.boxes, boxes_are_fresh=not is_video(frame.path))
    sightings = tracker.update(frame.image, camera, frame.time_s, places)
    refused = ["; ".join(detection.problems) for detection in sightings.refused]
    record = frame_record(frame, camera, detector.model, sightings.found, refused)
    named = [
        (f"{detector.model.category} {number}", detection, detector.model.keypoints)
        for number, detection in sightings.found
    ]
    return record, draw_overlay(frame.image, camera, named)


class _Drawing:
    """The overlay of one file: a PNG, or an MP4 of a video."""

    def __init__(self, path: Path, is_video: bool) -> None:
        self._path = path
        self._is_video = is_video
        self._writer: cv2.VideoWriter | None = None
        self._first: tuple[NDArray[np.uint8], float] | None = None
        self.files: list[Path] = []

    def add(self, picture: NDArray[np.uint8], time_s: float) -> None:
        """Draw the next frame."""
        bgr = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), np.uint8)
        if not self._is_video:
            cv2.imwrite(str(self._path), bgr)
            self.files.append(self._path)
        elif self._writer is not None:
            self._writer.write(bgr)
        elif self._first is None:  # the rate is known from the second frame on
            self._first = bgr, time_s
        else:
            self._open(bgr, 1.0 / (time_s - self._first[1]))
            assert self._writer is not None
            self._writer.write(bgr)

    def close(self) -> None:
        """Finish the file."""
        if self._first is not None and self._writer is None:
            self._open(self._first[0], 1.0)
        if self._writer is not None:
            self._writer.release()

    def _open(self, bgr: NDArray[np.uint8], rate_hz: float) -> None:
        height, width = bgr.shape[:2]
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        self._writer = cv2.VideoWriter(str(self._path), fourcc, rate_hz, (width, height))
        assert self._first is not None
        self._writer.write(self._first[0])
        self.files.append(self._path)


def _picture_paths(files: Sequence[Path], output: Path) -> list[Path]:
    """Where the picture of each file goes; a number is added where two would have one name."""
    pictures: list[Path] = []
    for path in files:
        suffix = ".mp4" if is_video(path) else ".png"
        names = (f"{path.stem}{'' if k == 1 else f'_{k}'}{suffix}" for k in itertools.count(1))
        pictures.append(next(output / name for name in names if output / name not in pictures))
    inputs = {path.resolve() for path in files}
    for picture in pictures:
        if picture.resolve() in inputs:
            raise ValueError(
                f"The picture {picture} would take the place of the image it is drawn on, or of "
                "another one. Choose another output folder."
            )
    return pictures


def _write(summary: Summary, detector: Detector, output: Path) -> None:
    document = {
        **facts_of(detector.model, detector.engine),
        "frames": summary.records,
        "unreadable": summary.unreadable,
    }
    write_text(output / "detections.json", json.dumps(document, indent=1) + "\n")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for record in summary.records:
        writer.writerows(keypoint_rows(record))
    write_text(output / "keypoints.csv", table.getvalue())
