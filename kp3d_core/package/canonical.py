"""What a model file says of its keypoints: where they sit on the mean object, how to draw them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.metrics import instance_keypoints
from kp3d_core.evaluation.predictions import Predictions

FloatArray = NDArray[np.float64]


def canonical_keypoints(predictions: Predictions) -> tuple[FloatArray, FloatArray]:
    """Mean position of each keypoint over objects in the object frame, and its spread.

    Views with a wrong orientation are left out.

    Returns:
        Means (N, 3) and standard deviations over objects (N, 3) [model units].
    """
    means = instance_keypoints(predictions.keypoints_object, predictions.flag_correct)
    return means.mean(0), means.std(0)


def part_distances(predictions: Predictions, views: ViewSet) -> dict[str, FloatArray]:
    """Mean distance (N,) of each keypoint from each named landmark of the objects [model units]."""
    some = predictions.flag_correct.any(axis=1)
    if views.landmarks is None or not some.any():
        return {}
    keypoints = instance_keypoints(predictions.keypoints_object, predictions.flag_correct)
    landmarks = views.landmarks[some].astype(np.float64)
    distance = np.linalg.norm(keypoints[:, :, None] - landmarks[:, None], axis=-1).mean(axis=0)
    return dict(zip(views.landmark_names, distance.T, strict=True))


def neighbour_edges(canonical: FloatArray) -> list[tuple[int, int]]:
    """Edges that show the shape without clutter: the relative neighbourhood graph.

    Two points are joined unless a third is closer to both than they are to each other. It is
    connected, because it contains the minimum spanning tree.

    Reference: Toussaint, Pattern Recognition 12(4), 1980.
    """
    distance = np.linalg.norm(canonical[:, None] - canonical[None], axis=-1)
    edges = []
    for i in range(len(canonical)):
        for j in range(i + 1, len(canonical)):
            others = np.delete(np.maximum(distance[i], distance[j]), [i, j])
            if not len(others) or others.min() >= distance[i, j]:
                edges.append((i, j))
    return edges
