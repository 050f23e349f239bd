"""Following the objects of one category through a stream of images."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.confirmation import confirmed
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.detector import Detector
from kp3d_core.inference.places import (
    Places,
    keypoint_region,
    outside,
    places_in_image,
    refuse_outside,
)
from kp3d_core.inference.plausibility import same_object
from kp3d_core.inference.track import Track

_PAUSE_S = 1.0
_PAUSE_INTERVALS = 3.0
"""An image that comes so long after the last one, by both measures, comes after a pause: nobody
looked meanwhile, so nothing was out of sight, and what was in sight may be anywhere."""
_SEARCH_PAUSE_S = 1.0
"""While some objects are in view, the image is searched for others this often: a search costs ten
times as much as following one."""


@dataclass(eq=False)
class TrackedObject:
    """One object that was found, and has not been out of sight for too long."""

    number: int
    """Counts the objects found so far, from 1; never used again."""
    track: Track
    accepted_in: int
    """Number of the last image in which it was accepted."""
    seen_in: int
    """Number of the last image in which it was in sight, believed or not."""
    unseen_s: float = 0.0
    """Time since then, pauses between images not counted [s]."""
    anywhere: bool = False
    """There was a pause since then: it need not be where it was."""


@dataclass
class Sightings:
    """What one image showed."""

    found: list[tuple[int, Detection]] = field(default_factory=list)
    """Number and accepted detection of each object in the image, oldest first."""
    lost: list[int] = field(default_factory=list)
    """Numbers of objects that are given up now."""
    refused: list[Detection] = field(default_factory=list)
    """Looks that found nothing, or nothing to be trusted."""
    looked: bool = True
    """False if there was nowhere to look."""
    problems: list[str] = field(default_factory=list)
    """Why places were left out."""


@dataclass(frozen=True, eq=False)
class _Frame:
    """One image in work: what is known about it, and what it has shown so far."""

    image: NDArray[np.uint8]
    camera: CameraModel
    number: int
    time_s: float
    down_camera: ArrayLike | None
    sightings: Sightings


class ObjectTracker:
    """Looks where each object was last, one engine call for all, and finds new ones."""

    def __init__(
        self, detector: Detector, *, max_objects: int = 1, lost_timeout_s: float = 0.0
    ) -> None:
        """Start without objects.

        Args:
            detector: of their category.
            max_objects: how many are followed at once.
            lost_timeout_s: an object that has not been seen for longer is given up [s]; a pause
                between images does not count.
        """
        self._detector = detector
        self.max_objects = max_objects
        self.lost_timeout_s = lost_timeout_s
        self._objects: list[TrackedObject] = []
        self._count = 0
        self._images = 0
        self._last_s: float | None = None
        self._interval_s = 0.0
        self._camera: CameraModel | None = None
        self._searched_s = -np.inf

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the objects that are not given up, in sight or not."""
        return tuple(item.number for item in self._objects)

    def reset(self) -> list[int]:
        """Give up all objects; returns their numbers."""
        numbers = list(self.numbers)
        self._objects.clear()
        self._searched_s = -np.inf
        return numbers

    def update(
        self,
        image: NDArray[np.uint8],
        camera: CameraModel,
        time_s: float,
        places: Places | None = None,
        *,
        down_camera: ArrayLike | None = None,
    ) -> Sightings:
        """Find the objects in the next image.

        Args:
            image: RGB, shape (H, W, 3).
            camera: calibration of the image.
            time_s: when it was taken [s]; if that is before the last one, everything starts anew.
                Nothing is given up while it stands still: see `ImageClock` for stamps that may.
            places: where to find objects that are not followed yet; the whole image if None.
                Those outside of the image are left out.
            down_camera: direction of gravity in the camera frame.
        """
        sightings = Sightings()
        places, sightings.problems = places_in_image(places or Places(), camera)
        if self._last_s is not None and time_s < self._last_s:
            sightings.lost += self.reset()
        if camera is not self._camera:  # it zooms, or sends another part of the image
            for item in self._objects:
                item.track.change_camera(camera)
        self._pass_time(time_s)
        self._camera = camera
        self._images += 1

        frame = _Frame(image, camera, self._images, time_s, down_camera, sightings)
        had_objects = bool(self._objects)
        seen = self._follow(frame)
        seen = self._check_boxes(seen, places, sightings)
        looked = self._find(frame, places, seen)
        sightings.looked = had_objects or looked
        for item in [o for o in self._objects if o.seen_in != frame.number]:
            if item.unseen_s <= self.lost_timeout_s:
                continue
            self._objects.remove(item)
            sightings.lost.append(item.number)
        sightings.found = [
            (item.number, item.track.detection)
            for item in self._objects
            if item.accepted_in == frame.number
        ]
        return sightings

    def _pass_time(self, time_s: float) -> None:
        """Let the time since the last image count."""
        passed_s = 0.0 if self._last_s is None else max(time_s - self._last_s, 0.0)
        is_pause = passed_s > max(_PAUSE_S, _PAUSE_INTERVALS * self._interval_s)
        for item in self._objects:
            item.anywhere |= is_pause
            item.unseen_s += 0.0 if is_pause else passed_s
        self._last_s, self._interval_s = time_s, passed_s

    def _follow(self, frame: _Frame) -> list[TrackedObject]:
        """Look where each object should be; returns those that are in sight."""
        views = [item.track.detection.next_view for item in self._objects]
        found = self._detector.detect_views(
            frame.image, frame.camera, views, down_camera=frame.down_camera
        )
        seen: list[TrackedObject] = []
        for item, look in zip(list(self._objects), found, strict=True):
            if item.anywhere and look.accepted:
                item.track = self._start(look, frame, item.track)  # how it stood says nothing
            detection = item.track.follow(look, frame.camera, self._detector.settings)
            if detection.accepted and any(
                same_object(detection, other.track.detection) for other in seen
            ):
                # Two tracks of one object: the older one stays.
                self._objects.remove(item)
                frame.sightings.lost.append(item.number)
                continue
            if look.accepted:
                self._see(item, frame)
                seen.append(item)
            if detection.accepted:
                item.accepted_in = frame.number
            else:
                frame.sightings.refused.append(detection)
        return seen

    def _check_boxes(
        self, seen: list[TrackedObject], places: Places, sightings: Sightings
    ) -> list[TrackedObject]:
        """Give up objects outside of all boxes where a box shows another and no room is left."""
        if not places.boxes_are_fresh:
            return seen
        for box in places.boxes:
            is_taken = any(not outside(box, item.track.detection) for item in seen)
            strays = [
                item
                for item in seen
                if all(outside(other, item.track.detection) for other in places.boxes)
            ]
            if not is_taken and strays and len(self._objects) >= self.max_objects:
                stray = strays[-1]
                seen = [item for item in seen if item is not stray]
                self._objects.remove(stray)
                sightings.lost.append(stray.number)
        return seen

    def _find(self, frame: _Frame, places: Places, seen: list[TrackedObject]) -> bool:
        """Look for objects that are not in sight; returns whether there was a place to look."""
        free = self.max_objects - len(seen)
        if free <= 0:
            return True
        last_places = [
            keypoint_region(item.track.detection, frame.camera)
            for item in self._objects
            if item not in seen
        ]
        boxes = [
            box for box in places.boxes if all(outside(box, item.track.detection) for item in seen)
        ]
        # A box says where an object is now, its last keypoints only where it was.
        regions = [*boxes, *last_places][:free] if boxes else last_places
        if not places.boxes and not places.boxes_only:
            regions += places.regions
        found: list[Detection] = []
        if regions:
            found = self._detector.detect_regions(
                frame.image, frame.camera, regions, down_camera=frame.down_camera
            )
        if places.boxes_are_fresh and places.boxes:
            found = [refuse_outside(detection, places.boxes) for detection in found]
        is_search_due = not seen or frame.time_s - self._searched_s >= _SEARCH_PAUSE_S
        may_search = not (places.boxes or places.boxes_only or places.regions)
        searches = may_search and is_search_due and not any(d.accepted for d in found)
        if searches:
            self._searched_s = frame.time_s
            image, camera, down = frame.image, frame.camera, frame.down_camera
            results = self._detector.search(image, camera, count=self.max_objects, down_camera=down)
            found += confirmed(self._detector, image, camera, results, down)
        for detection in found:
            self._add(detection, frame, seen)
        return bool(regions) or searches

    def _add(self, detection: Detection, frame: _Frame, seen: list[TrackedObject]) -> None:
        """Make a detection an object, one of those out of sight if it may be that."""
        if not detection.accepted:
            frame.sightings.refused.append(detection)
            return
        if len(seen) >= self.max_objects or any(
            same_object(detection, item.track.detection) for item in seen
        ):
            return
        missing = [item for item in self._objects if item not in seen]
        again = [item for item in missing if same_object(detection, item.track.detection)]
        if self.max_objects == 1:
            again = missing
        again = again or _nearest_first(detection, [item for item in missing if item.anywhere])
        if again:
            item = again[0]
            item.track = self._start(detection, frame, item.track)
        else:
            if len(self._objects) >= self.max_objects:  # of those out of sight one must go
                oldest = min(missing, key=lambda item: item.seen_in)
                self._objects.remove(oldest)
                frame.sightings.lost.append(oldest.number)
            self._count += 1
            track = self._start(detection, frame)
            item = TrackedObject(self._count, track, frame.number, frame.number)
            self._objects.append(item)
        self._see(item, frame)
        item.accepted_in = frame.number
        seen.append(item)

    def _see(self, item: TrackedObject, frame: _Frame) -> None:
        item.seen_in, item.unseen_s, item.anywhere = frame.number, 0.0, False

    def _start(self, detection: Detection, frame: _Frame, before: Track | None = None) -> Track:
        """Follow an object that was found, or found again; of equal answers, by the one before."""
        if before is not None:
            detection = before.alike(detection, frame.camera)
        return Track(detection, symmetry=self._detector.model.symmetry)


def _nearest_first(detection: Detection, items: list[TrackedObject]) -> list[TrackedObject]:
    """Objects by their distance from a detection in the image."""
    middle = detection.keypoints_uv.mean(axis=0)

    def distance(item: TrackedObject) -> float:
        return float(np.linalg.norm(item.track.detection.keypoints_uv.mean(axis=0) - middle))

    return sorted(items, key=distance)
