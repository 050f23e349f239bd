"""What a model file says of its keypoints: where they sit on the mean object, how to draw them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.metrics import instance_keypoints
from kp3d_core.evaluation.predictions import Predictions

FloatArray = NDArray[np.float64]

_CENTRAL = 0.12
"""Keypoints closer to a plane through the origin than this are called central [model units]."""


def canonical_keypoints(predictions: Predictions) -> tuple[FloatArray, FloatArray]:
    """Mean position of each keypoint over objects in the object frame, and its spread.

    Views with a wrong orientation are left out.

    Returns:
        Means (N, 3) and standard deviations over objects (N, 3) [model units].
    """
    means = instance_keypoints(predictions.keypoints_object, predictions.flag_correct)
    return means.mean(0), means.std(0)


def descriptive_names(canonical: FloatArray) -> list[str]:
    """Name for each keypoint from where it sits, such as `front_left_low`; unique.

    Keypoints are discovered, so nobody named them; a place is more use than a number.
    """
    words = (("rear", "middle", "front"), ("right", "centre", "left"), ("low", "mid", "high"))
    names: list[str] = []
    for point in canonical:
        parts = [
            axis_words[1 + int(np.sign(value)) * int(abs(value) > _CENTRAL)]
            for value, axis_words in zip(point, words, strict=True)
        ]
        name, number = "_".join(parts), 2
        while name in names:
            name = "_".join(parts) + f"_{number}"
            number += 1
        names.append(name)
    return names


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
