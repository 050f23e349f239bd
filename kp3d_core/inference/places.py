"""Where a tracker looks besides where objects were last."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.view import Region, visible_edges

_MARGIN_PX = 4.0
_GROWTH = 0.2
"""A box may cut off this fraction of the object's width."""


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


def places_in_image(places: Places, camera: CameraModel) -> tuple[Places, list[str]]:
    """The places that are in an image, and why others are left out."""
    problems = []

    def visible(regions: Sequence[Region]) -> list[Region]:
        kept = []
        for region in regions:
            try:
                visible_edges(region, camera)
            except ValueError as error:
                problems.append(f"A place to look was left out: {error}")
            else:
                kept.append(region)
        return kept

    boxes, regions = visible(places.boxes), visible(places.regions)
    # Regions limit the search: without any of them there is nowhere to look, not the whole image.
    only = places.boxes_only or bool(places.regions and not regions)
    return dataclasses.replace(places, boxes=boxes, regions=regions, boxes_only=only), problems


def keypoint_region(detection: Detection, camera: CameraModel) -> Region:
    """Rectangle around the keypoints, cut at the edges of the image."""
    edge = (camera.width - 0.5, camera.height - 0.5)
    low = np.clip(detection.keypoints_uv.min(axis=0) - _MARGIN_PX, -0.5, edge)
    high = np.clip(detection.keypoints_uv.max(axis=0) + _MARGIN_PX, -0.5, edge)
    low = np.minimum(low, np.subtract(edge, 1.0))
    left, top = low.tolist()
    width, height = np.maximum(high - low, 1.0).tolist()
    return Region(left, top, width, height, math.inf)


def outside(box: Region, detection: Detection) -> bool:
    """Whether a detector's box, a little grown, holds less than half of the keypoints."""
    u, v = detection.keypoints_uv.T
    grow = _GROWTH / 2
    inside = np.abs(u - (box.x + box.width / 2)) < (0.5 + grow) * box.width
    inside &= np.abs(v - (box.y + box.height / 2)) < (0.5 + grow) * box.height
    return float(inside.mean()) < 0.5


def refuse_outside(detection: Detection, boxes: Sequence[Region]) -> Detection:
    """The detection; an accepted one that is outside of all boxes is refused."""
    if not detection.accepted or not all(outside(box, detection) for box in boxes):
        return detection
    problem = "most keypoints are outside the box of the 2D detector"
    return dataclasses.replace(detection, problems=(problem,))
