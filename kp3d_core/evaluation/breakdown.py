"""Where a model fails: figures by kind of object, and the views that went worst."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.metrics import PairErrors

FloatArray = NDArray[np.float64]


def by_kind(
    errors: PairErrors, flag_correct: NDArray[np.bool_], kinds: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Relative rotation and flags (I, V) of each kind of object, such as "van", alphabetically."""
    kind_of_object = np.array(kinds)
    figures = {}
    for kind in sorted(set(kinds)):
        objects = kind_of_object == kind
        rotation = errors.rotation_deg[objects[errors.instance]]
        figures[kind] = {
            "instances": int(objects.sum()),
            "mean": float(rotation.mean()),
            "median": float(np.median(rotation)),
            "flag_accuracy": float(flag_correct[objects].mean()),
        }
    return figures


def worst_views(absolute_rotation_deg: FloatArray, count: int) -> list[tuple[int, int]]:
    """The worst view of each of the `count` objects with the worst views, worst first.

    Args:
        absolute_rotation_deg: error of each view, (I, V).
        count: at most the number of objects.

    Returns:
        Pairs (object, view).
    """
    worst_view = absolute_rotation_deg.argmax(axis=1)
    order = np.argsort(-absolute_rotation_deg.max(axis=1), kind="stable")[:count]
    return [(int(i), int(worst_view[i])) for i in order]
