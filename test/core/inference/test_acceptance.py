"""What is accepted keeps the share of wrong results that the user allows."""

import math

import pytest

from kp3d_core.inference.acceptance import (
    Acceptance,
    Evidence,
    Limit,
    SearchRecord,
    evidence_of,
)

MEASURED = Acceptance(
    offset=-4.0,
    weights=Evidence(residual=20.0, doubt=2.0, certainty=-1.0),
    orientation_slope=0.5,
    limits=(Limit(0.01, 0.02, 0.3), Limit(0.1, 0.04, 0.6), Limit(0.4, 0.09, 0.9)),
)


def test_probability_is_logistic_in_the_evidence():
    odds = -4.0 + 20 * 0.1 + 2 * 0.25 - 1.0
    got = MEASURED.wrong_probability(Evidence(residual=0.1, doubt=0.25, certainty=1.0))
    assert got == pytest.approx(1 / (1 + math.exp(-odds)))
    assert MEASURED.wrong_probability(Evidence(1e9, 0.0, 0.0)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("max_wrong", "probability", "accepted"),
    [(0.05, 0.1, 0.6), (0.04, 0.1, 0.6), (0.03, 0.01, 0.3), (0.5, 0.4, 0.9), (1.0, 1.0, 1.0)],
)
def test_the_largest_allowed_risk_counts(max_wrong, probability, accepted):
    limit = MEASURED.limit(max_wrong)
    assert (limit.probability, limit.accepted) == (probability, accepted)


def test_what_no_result_can_keep_accepts_none():
    assert MEASURED.limit(0.01).probability < 0
    assert MEASURED.least_wrong == 0.02


def test_front_and_back_get_a_calibrated_probability():
    assert MEASURED.orientation_probability(0.5) == pytest.approx(0.5)
    assert MEASURED.orientation_probability(0.9) == pytest.approx(0.75)  # odds 9 become 3


def test_without_a_measurement_the_limit_of_the_misfit_is_as_good_as_five_percent():
    assumed = Acceptance.assumed(misfit_limit=0.2, doubt_weight=0.35)
    below, above = (evidence_of(misfit - 0.35 * 0.1, 0.9, 0.9) for misfit in (0.199, 0.201))
    limit = assumed.limit(0.05).probability
    assert assumed.wrong_probability(below) < limit < assumed.wrong_probability(above)


def test_certainty_is_finite():
    assert evidence_of(0.1, 1.0, 1.0).certainty == 8.0


@pytest.mark.parametrize(
    ("images", "false", "recall", "usable"),
    [(20, 1, 0.5, True), (19, 0, 0.5, False), (40, 3, 0.9, False), (100, 5, 0.1, True),
     (100, 0, 0.0, False)],
)  # fmt: skip
def test_who_finds_what_is_not_there_may_not_search(images, false, recall, usable):
    assert SearchRecord(images, false, recall).is_usable is usable
