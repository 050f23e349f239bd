"""Which results may be used: those that keep the share of wrong ones under what the user allows.

How likely a result is wrong (its orientation is off by more than `WRONG_DEG`, or there is no such
object) is told by a logistic model of what is known without the truth. A table, measured on what
the model meets in use, says how often results were wrong up to each such probability: the detector
takes the largest one whose share of wrong results, by an upper confidence bound, is allowed.

Reference: Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017:
selection with guaranteed risk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

WRONG_DEG = 30.0
"""An orientation that is further off is wrong."""
DEFAULT_MAX_WRONG = 0.05
"""Share of wrong results among those that are used."""
MOST_IMAGES_PER_FALSE_FIND = 20
"""Whoever has more than one false find in so many images is not let search whole images."""
_STEEPNESS = 10.0
"""Of what is assumed of models that nobody measured: a misfit 30 % over its limit is as likely
wrong as right."""
_MAX_CERTAINTY = 8.0
"""Odds of 3,000 to 1: what is beyond tells the size of the network's output, not of its errors."""


class Evidence(NamedTuple):
    """What is known of a result without the truth; or the weight of each in the log odds."""

    residual: float
    """Weighted RMS distance of the keypoints from the fitted canonical ones [model units]."""
    doubt: float
    """1 - mean score of the keypoints."""
    certainty: float
    """Log odds, by the network, that front and back are not confused."""


class Limit(NamedTuple):
    """One row of the table: what happens to whoever accepts up to a probability."""

    probability: float
    """Largest probability of being wrong that is accepted."""
    wrong: float
    """Upper bound of the share of wrong results among those accepted."""
    accepted: float
    """Share of the objects whose result is accepted."""


class SearchRecord(NamedTuple):
    """How well whole images were searched, where nobody gave a box."""

    images: int
    """Without an object of the category."""
    false: int
    """Finds in them."""
    recall: float
    """Share of objects found in other images, large ones in the middle: an upper bound."""

    @property
    def is_usable(self) -> bool:
        """Whether there was at most one false find in 20 images, and anything was found."""
        enough = self.images >= MOST_IMAGES_PER_FALSE_FIND
        few = self.false * MOST_IMAGES_PER_FALSE_FIND <= self.images
        return enough and few and self.recall > 0

    def __str__(self) -> str:
        """In words."""
        return (
            f"{self.false} false finds in {self.images} images, {self.recall:.0%} of large objects "
            "found"
        )


@dataclass(frozen=True)
class Acceptance:
    """How a model's results are judged."""

    offset: float
    weights: Evidence
    """Log odds that a result is wrong: offset + weights . evidence."""
    orientation_slope: float = 1.0
    """Factor on the log odds of front and back that makes a probability of them."""
    limits: tuple[Limit, ...] = ()
    """By growing probability; empty if nobody measured."""
    search: SearchRecord | None = None
    """Of the search of whole images; None if nobody measured."""
    measured: Mapping[str, Any] = field(default_factory=dict)
    """On what, and what came out, as it was written at the measurement."""

    @staticmethod
    def assumed(misfit_limit: float, doubt_weight: float) -> Acceptance:
        """Of a model file without a measurement: its limit of the misfit is as good as 5 %.

        Args:
            misfit_limit: of the calibration, see `Calibration.misfit_limit`.
            doubt_weight: of 1 - score in a misfit.
        """
        slope = _STEEPNESS / max(misfit_limit, 1e-6)
        return Acceptance(
            log_odds(DEFAULT_MAX_WRONG) - _STEEPNESS, Evidence(slope, slope * doubt_weight, 0.0)
        )

    def wrong_probability(self, evidence: Evidence) -> float:
        """Probability that a result is wrong."""
        terms = zip(self.weights, evidence, strict=True)
        return probability(self.offset + sum(weight * value for weight, value in terms))

    def limit(self, max_wrong: float) -> Limit:
        """Up to where results are accepted; a probability of -1: none is.

        Args:
            max_wrong: allowed share of wrong results among those accepted, 0..1; 1 accepts all.
        """
        if max_wrong >= 1:
            return Limit(1.0, 1.0, 1.0)
        if not self.limits:
            return Limit(max_wrong, max_wrong, math.nan)
        allowed = [limit for limit in self.limits if limit.wrong <= max_wrong]
        return allowed[-1] if allowed else Limit(-1.0, max_wrong, 0.0)

    @property
    def least_wrong(self) -> float:
        """The smallest share of wrong results that can be kept; 0 if nobody measured."""
        return min((limit.wrong for limit in self.limits), default=0.0)

    def orientation_probability(self, score: float) -> float:
        """Probability, 0.5..1, that front and back are not confused.

        Args:
            score: of the network, 0.5..1.
        """
        return 1.0 if score >= 1 else probability(self.orientation_slope * log_odds(score))


def evidence_of(residual: float, mean_score: float, orientation_score: float) -> Evidence:
    """Evidence of what the network says.

    Args:
        residual: see `Evidence`.
        mean_score: of the keypoints, 0..1.
        orientation_score: 0.5..1.
    """
    certainty = min(log_odds(orientation_score), _MAX_CERTAINTY)
    return Evidence(residual, 1 - mean_score, certainty)


def log_odds(value: float) -> float:
    """Logarithm of the odds of a probability; finite for 0 and 1, too."""
    value = min(max(value, 1e-9), 1 - 1e-9)
    return math.log(value / (1 - value))


def probability(odds: float) -> float:
    """The probability whose logarithm of the odds is given."""
    return 1 / (1 + math.exp(-min(max(odds, -700.0), 700.0)))
