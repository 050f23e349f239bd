"""Figures by kind and the choice of the worst views, on made-up errors."""

import numpy as np
import pytest

from kp3d_core.evaluation.breakdown import by_kind, worst_views
from kp3d_core.evaluation.metrics import PairErrors


def test_each_kind_gets_the_pairs_of_its_objects():
    errors = PairErrors(
        rotation_deg=np.array([1.0, 3.0, 10.0, 20.0, 60.0, 5.0]),
        consistency_px=np.zeros(6),
        instance=np.array([0, 0, 1, 1, 1, 2]),
        views=np.zeros((6, 2), np.int64),
    )
    flags = np.array([[True, True], [True, False], [False, False]])
    figures = by_kind(errors, flags, ("van", "bus", "van"))
    assert list(figures) == ["bus", "van"]
    assert figures["bus"] == {
        "instances": 1,
        "mean": pytest.approx(30),
        "median": pytest.approx(20),
        "flag_accuracy": 0.5,
    }
    assert figures["van"]["instances"] == 2
    assert figures["van"]["median"] == pytest.approx(3)
    assert figures["van"]["flag_accuracy"] == 0.5


def test_worst_views_come_from_different_objects():
    error = np.array([[1.0, 50.0, 60.0], [2.0, 1.0, 0.0], [170.0, 3.0, 3.0]])
    assert worst_views(error, 2) == [(2, 0), (0, 2)]
