"""Which of several looks shows the object best, and which of several detections are one object."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from kp3d_core.inference.detection import Detection
from kp3d_core.inference.view import Region

_SAME = 0.35
"""Fraction of its size by which an object must be beside another one to be seen as two."""
_OUTSIDE_WEIGHT = 0.5
"""What keypoints that share no area with the region count for, as model units of residual."""


def most_plausible(detections: Iterable[Detection], count: int) -> list[Detection]:
    """The detections that look most like the object in its training views, best first."""
    return sorted(detections, key=_implausibility)[:count]


def distinct(detections: Iterable[Detection], count: int) -> list[Detection]:
    """The first detection, and those accepted ones after it that show other objects.

    Args:
        detections: best first.
        count: most that are returned.
    """
    chosen: list[Detection] = []
    for detection in detections:
        is_new = detection.accepted and not any(same_object(detection, c) for c in chosen)
        if not chosen or is_new:
            chosen.append(detection)
    return chosen[:count]


def same_object(a: Detection, b: Detection) -> bool:
    """Whether two detections lie on each other in the image."""
    distance = np.linalg.norm(a.keypoints_uv.mean(axis=0) - b.keypoints_uv.mean(axis=0))
    extent = max(float(np.ptp(d.keypoints_uv, axis=0).max()) for d in (a, b))
    return bool(distance < _SAME * extent)


def best_look(looks: Sequence[Detection], region: Region | None) -> Detection:
    """The most plausible of successive looks at one object; of equal ones the latest.

    The last look is not always the best: before a textured background a doubtful look may lead to
    the next one away from the object. An accepted look is preferred to a refused one.

    Args:
        looks: at least one.
        region: where the object is known to be, if it is.
    """

    def demerit(detection: Detection) -> tuple[bool, float]:
        refused, doubt = _implausibility(detection)
        outside = 0.0 if region is None else 1 - _overlap(detection, region)
        return refused, doubt + _OUTSIDE_WEIGHT * outside

    return min(reversed(looks), key=demerit)


def _overlap(detection: Detection, region: Region) -> float:
    """Area common to the box around the keypoints and a region, by the area of both together."""
    low, high = detection.keypoints_uv.min(axis=0), detection.keypoints_uv.max(axis=0)
    corner, size = np.array([region.x, region.y]), np.array([region.width, region.height])
    common = np.prod(np.clip(np.minimum(high, corner + size) - np.maximum(low, corner), 0, None))
    return float(common / (np.prod(high - low) + np.prod(size) - common))


def _implausibility(detection: Detection) -> tuple[bool, float]:
    """Refused ones last; then how far shape, size and certainty are from the ideal."""
    doubt = 1 - float(detection.score.mean())
    return (
        not detection.accepted,
        detection.residual + 0.3 * abs(math.log(detection.scale)) + 0.3 * doubt,
    )
