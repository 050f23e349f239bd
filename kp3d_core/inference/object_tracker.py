"""Following the objects of one category through a stream of images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.confirmation import confirmed
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.detector import Detector
from kp3d_core.inference.plausibility import same_object
from kp3d_core.inference.track import Track
from kp3d_core.inference.view import Region, visible_edges

_MARGIN_PX = 4.0
_GROWTH = 0.2
"""A box may cut off this fraction of the object's width."""
_SEARCH_PAUSE_S = 1.0
"""While some objects are in view, the image is searched for others this often: a search costs ten
times as much as following one."""


@dataclass(frozen=True)
class Places:
    """Where objects may be, besides where they were last."""

    boxes: Sequence[Region] = ()
    """Where a 2D detector sees objects of this category, most certain first."""
    boxes_are_fresh: bool = False
    """They belong to this very image, or nearly: what is outside of them is wrong."""
    regions: Sequence[Region] = ()
    """Where to look if there are no boxes; the whole image is searched if this is empty."""
    boxes_only: bool = False
    """Look nowhere but in boxes."""


@dataclass(eq=False)
class TrackedObject:
    """One object that was found, and has not been out of sight for too long."""

    number: int
    """Counts the objects found so far, from 1; never used again."""
    track: Track
    accepted_s: float
    """Time of the last image in which it was accepted."""
    seen_s: float
    """Time of the last image in which it was in sight, believed or not."""


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
            lost_timeout_s: an object that has not been seen for longer is given up [s].
        """
        self._detector = detector
        self.max_objects = max_objects
        self.lost_timeout_s = lost_timeout_s
        self._objects: list[TrackedObject] = []
        self._count = 0
        self._last_s = 0.0
        self._size_wh = (0, 0)
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
            places: where to find objects that are not followed yet; the whole image if None.
                Those outside of the image are left out.
            down_camera: direction of gravity in the camera frame.
        """
        sightings = Sightings()
        places = _in_image(places or Places(), camera, sightings)
        size_wh = (camera.width, camera.height)
        if time_s < self._last_s or size_wh != self._size_wh:
            sightings.lost += self.reset()
        self._last_s, self._size_wh = time_s, size_wh

        frame = _Frame(image, camera, time_s, down_camera, sightings)
        had_objects = bool(self._objects)
        seen = self._follow(frame)
        seen = self._check_boxes(seen, places, sightings)
        looked = self._find(frame, places, seen)
        sightings.looked = had_objects or looked
        for item in [o for o in self._objects if time_s - o.seen_s > self.lost_timeout_s]:
            self._objects.remove(item)
            sightings.lost.append(item.number)
        sightings.found = [
            (item.number, item.track.detection)
            for item in self._objects
            if item.accepted_s == time_s
        ]
        return sightings

    def _follow(self, frame: _Frame) -> list[TrackedObject]:
        """Look where each object should be; returns those that are in sight."""
        views = [item.track.detection.next_view for item in self._objects]
        found = self._detector.detect_views(
            frame.image, frame.camera, views, down_camera=frame.down_camera
        )
        seen: list[TrackedObject] = []
        for item, look in zip(list(self._objects), found, strict=True):
            detection = item.track.follow(look, frame.camera, self._detector.settings)
            if detection.accepted and any(
                same_object(detection, other.track.detection) for other in seen
            ):
                # Two tracks of one object: the older one stays.
                self._objects.remove(item)
                frame.sightings.lost.append(item.number)
                continue
            if look.accepted:
                item.seen_s = frame.time_s
                seen.append(item)
            if detection.accepted:
                item.accepted_s = frame.time_s
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
            found = [_refuse_outside(detection, places.boxes) for detection in found]
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
        symmetric = self._detector.model.symmetry != "none"
        if again:
            item = again[0]
            item.track = Track(detection, symmetric=symmetric)
            item.accepted_s = item.seen_s = frame.time_s
        else:
            if len(self._objects) >= self.max_objects:  # of those out of sight one must go
                oldest = min(missing, key=lambda item: item.seen_s)
                self._objects.remove(oldest)
                frame.sightings.lost.append(oldest.number)
            self._count += 1
            track = Track(detection, symmetric=symmetric)
            item = TrackedObject(self._count, track, frame.time_s, frame.time_s)
            self._objects.append(item)
        seen.append(item)


def _in_image(places: Places, camera: CameraModel, sightings: Sightings) -> Places:
    """The places that are in the image. One that is not says nothing of the others."""

    def visible(regions: Sequence[Region]) -> list[Region]:
        kept = []
        for region in regions:
            try:
                visible_edges(region, camera)
            except ValueError as error:
                sightings.problems.append(f"A place to look was left out: {error}")
            else:
                kept.append(region)
        return kept

    boxes, regions = visible(places.boxes), visible(places.regions)
    # Regions limit the search: without any of them there is nowhere to look, not the whole image.
    only = places.boxes_only or bool(places.regions and not regions)
    return dataclasses.replace(places, boxes=boxes, regions=regions, boxes_only=only)


def keypoint_region(detection: Detection, camera: CameraModel) -> Region:
    """Rectangle around the keypoints, cut at the edges of the image."""
    edge = (camera.width - 0.5, camera.height - 0.5)
    low = np.clip(detection.keypoints_uv.min(axis=0) - _MARGIN_PX, -0.5, edge)
    high = np.clip(detection.keypoints_uv.max(axis=0) + _MARGIN_PX, -0.5, edge)
    low = np.minimum(low, np.subtract(edge, 1.0))
    return Region(*low.tolist(), *np.maximum(high - low, 1.0).tolist())


def outside(box: Region, detection: Detection) -> bool:
    """Whether a detector's box, a little grown, holds less than half of the keypoints."""
    u, v = detection.keypoints_uv.T
    grow = _GROWTH / 2
    inside = np.abs(u - (box.x + box.width / 2)) < (0.5 + grow) * box.width
    inside &= np.abs(v - (box.y + box.height / 2)) < (0.5 + grow) * box.height
    return float(inside.mean()) < 0.5


def _refuse_outside(detection: Detection, boxes: Sequence[Region]) -> Detection:
    if not detection.accepted or not all(outside(box, detection) for box in boxes):
        return detection
    problem = "most keypoints are outside the box of the 2D detector"
    return dataclasses.replace(detection, problems=(problem,))
