"""When a result is wrong: a logistic model and the table of risks, fitted to encounters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.photographs.search import searching_detector
from kp3d_core.geometry.symmetry import has_front, rotation_error
from kp3d_core.inference import Detection, Detector, DetectorSettings, Model
from kp3d_core.inference.acceptance import (
    DEFAULT_MAX_WRONG,
    WRONG_DEG,
    Acceptance,
    Evidence,
    Limit,
    SearchRecord,
    log_odds,
)
from kp3d_core.inference.confirmation import confirmed
from kp3d_core.inference.engines import Engine
from kp3d_core.package.encounters import Encounter

FloatArray = NDArray[np.float64]

_ACCEPT_ALL = Acceptance(0.0, Evidence(0.0, 0.0, 0.0))
_FINDS = 4
"""Most objects that are looked for in one image."""
_FOLDS = 5
_RIDGE = 1.0
"""Encounters' worth of doubt in a weight."""
_LEAST_SPREAD = 1e-2
"""Of evidence, in its own unit: what varies less, as that of a model that hardly trained, says
nothing, and would get weights that no file takes."""
_CONFIDENCE = 0.9
"""Of the upper bound of a risk."""
_ROWS = 40
_BINS = 10
_STEPS = 60
"""Of Newton's method and of bisections."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What a detector said of one encounter, and the truth."""

    evidence: Evidence
    is_object: bool
    """Whether the box held an object of the category."""
    error_deg: float
    """Of the orientation; 180 if there was no object."""
    flag_correct: bool
    """Whether front and back were told apart; false if there was no object."""
    orientation_score: float
    """As the detector said."""
    possible: bool
    """Whether it is accepted where all that is not impossible is."""
    source: str
    """See `Encounter.source`."""

    @property
    def wrong(self) -> bool:
        """Whether nobody should use it."""
        return not self.error_deg <= WRONG_DEG


def judge(model: Model, engine: Engine, met: Iterable[Encounter]) -> list[Judged]:
    """Let a detector look into the box of each encounter; what the model says is not refused yet.

    The model's own acceptance, if it has any, is not looked at: orientation scores are those of the
    network.
    """
    model = replace(model, acceptance=_ACCEPT_ALL)
    # With this size one metre is one model unit.
    detector = Detector(model, engine, object_size_m=2.0, settings=DetectorSettings(max_wrong=1.0))
    results = []
    for encounter in met:
        found = detector.detect(encounter.image, encounter.camera, encounter.region)
        T = encounter.T_camera_object
        results.append(
            Judged(
                evidence=found.evidence,
                is_object=T is not None,
                error_deg=180.0 if T is None else _error_deg(found, T, model.keypoints.symmetry),
                flag_correct=T is not None and _same_flag(found, T, model.keypoints.symmetry),
                orientation_score=found.orientation_score,
                possible=found.accepted,
                source=encounter.source,
            )
        )
    return results


def _error_deg(found: Detection, T_camera_object: FloatArray, symmetry: str) -> float:
    """Angle between the found and the true orientation."""
    R_est, R_gt = found.T_camera_object[:3, :3], T_camera_object[:3, :3]
    return math.degrees(float(rotation_error(R_est, R_gt, symmetry)))


def _same_flag(found: Detection, T_camera_object: FloatArray, symmetry: str) -> bool:
    """Whether the object's front is on the side of its back where it was seen, if it has one."""
    R = found.crop.R_crop_camera
    seen, true = (R @ T[:3, :3] for T in (found.T_camera_object, T_camera_object))
    return not has_front(symmetry) or bool((seen[0, 0] > 0) == (true[0, 0] > 0))


def judge_search(model: Model, engine: Engine, met: Iterable[Encounter]) -> SearchRecord:
    """Let a detector search the images of encounters, their boxes not given.

    Args:
        model: with the acceptance that it will have.
        engine: runs the model.
        met: encounters with and without objects.
    """
    detector = searching_detector(model, engine)
    images = false = objects = found = 0
    for encounter in met:
        image, camera, T = encounter.image, encounter.camera, encounter.T_camera_object
        finds = confirmed(detector, image, camera, detector.search(image, camera, count=_FINDS))
        accepted = [find for find in finds if find.accepted]
        if T is None:
            images += 1
            false += len(accepted)
            continue
        objects += 1
        origin = camera.project(T[None, :3, 3])[0]
        reach = max(encounter.region.width, encounter.region.height) / 2
        middles = [find.keypoints_uv.mean(axis=0) for find in accepted]
        found += any(float(np.linalg.norm(middle - origin)) < reach for middle in middles)
    return SearchRecord(images, false, found / max(objects, 1))


def fit_acceptance(judged: Sequence[Judged]) -> Acceptance:
    """Acceptance that holds for encounters like these.

    The table is made of probabilities that were predicted for each source by a model fitted to
    other sources, so that it is not better than what the future brings.

    Raises:
        ValueError: no encounter.
    """
    if not judged:
        raise ValueError("Acceptance needs encounters to be fitted to, got none.")
    x = np.array([item.evidence for item in judged])
    wrong = np.array([item.wrong for item in judged])
    sources = sorted({item.source for item in judged})
    fold = np.array([sources.index(item.source) % _FOLDS for item in judged])
    predicted = np.zeros(len(judged))
    for number in range(_FOLDS):
        held = fold == number
        if held.any():
            offset, weights = _logistic(x[~held], wrong[~held])
            predicted[held] = 1 / (1 + np.exp(-(offset + x[held] @ weights).clip(-500, 500)))
    offset, weights = _logistic(x, wrong)
    is_object = np.array([item.is_object for item in judged])
    possible = np.array([item.possible for item in judged])
    return Acceptance(
        offset=offset,
        weights=Evidence(*map(float, weights)),
        orientation_slope=_orientation_slope(judged),
        limits=risk_table(
            predicted[possible], wrong[possible], is_object[possible], int(is_object.sum())
        ),
    )


def risk_table(
    probability: FloatArray, wrong: NDArray[np.bool_], is_object: NDArray[np.bool_], objects: int
) -> tuple[Limit, ...]:
    """Risk and share of accepted objects for growing limits of the probability.

    Args:
        probability: predicted, of being wrong, (K,).
        wrong: truth, (K,).
        is_object: whether there was an object at all, (K,).
        objects: how many there were, those included that are refused anyway.
    """
    if not len(probability):
        return (Limit(0.0, 1.0, 0.0),)
    order = np.argsort(probability, kind="stable")
    counts = np.unique(np.linspace(1, len(order), _ROWS).round().astype(int))
    rows = []
    for count in counts:
        chosen = order[:count]
        bound = upper_bound(int(wrong[chosen].sum()), int(count))
        accepted = float(is_object[chosen].sum() / max(objects, 1))
        rows.append(Limit(float(probability[order[count - 1]]), bound, accepted))
    # Few samples say little: their bound is high. Who accepts less takes the surer part of those
    # whose bound is lower.
    bounds = np.minimum.accumulate([row.wrong for row in rows][::-1])[::-1]
    return tuple(
        Limit(row.probability, float(bound), row.accepted)
        for row, bound in zip(rows, bounds, strict=True)
    )


def upper_bound(wrong: int, count: int) -> float:
    """Share of wrong ones that is not exceeded with the confidence of 90 %.

    Reference: Clopper and Pearson, Biometrika 26(4), 1934.
    """
    if wrong >= count:
        return 1.0
    k = np.arange(wrong + 1)
    choose = np.array(
        [math.lgamma(count + 1) - math.lgamma(i + 1) - math.lgamma(count - i + 1) for i in k]
    )
    low, high = wrong / count, 1.0
    for _ in range(_STEPS):
        p = (low + high) / 2
        at_most = np.exp(choose + k * math.log(p) + (count - k) * math.log1p(-p)).sum()
        low, high = (p, high) if at_most > 1 - _CONFIDENCE else (low, p)
    return high


def figures(judged: Sequence[Judged], acceptance: Acceptance) -> dict[str, Any]:
    """What an acceptance does at the default `max_wrong`, as kept in files; shares are in 0..1."""
    probability = np.array([acceptance.wrong_probability(item.evidence) for item in judged])
    possible = np.array([item.possible for item in judged])
    accepted = possible & (probability <= acceptance.limit(DEFAULT_MAX_WRONG).probability)
    wrong = np.array([item.wrong for item in judged])
    objects = np.array([item.is_object for item in judged])
    score = [acceptance.orientation_probability(item.orientation_score) for item in judged]
    right = np.array([item.flag_correct for item in judged])
    return {
        "encounters": len(judged),
        "objects": int(objects.sum()),
        "max_wrong": DEFAULT_MAX_WRONG,
        "wrong": _share(wrong[objects]),
        "accepted": _share(accepted[objects]),
        "accepted_without_object": _share(accepted[~objects]),
        "wrong_among_accepted": _share(wrong[accepted]),
        "wrong_probability": reliability(probability, wrong),
        "orientation": reliability(np.array(score)[objects], right[objects]),
    }


def _share(values: NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None


def reliability(probability: FloatArray, happened: NDArray[np.bool_]) -> dict[str, Any]:
    """Reliability diagram: bins of equally many samples, and the expected calibration error.

    Reference: Guo et al., "On calibration of modern neural networks", ICML 2017; bins as of
    Nguyen and O'Connor, EMNLP 2015.
    """
    if not len(probability):
        return {"ece": None, "predicted": [], "happened": [], "samples": []}
    bins = [b for b in np.array_split(np.argsort(probability, kind="stable"), _BINS) if len(b)]
    predicted = [float(probability[b].mean()) for b in bins]
    share = [float(happened[b].mean()) for b in bins]
    count = [len(b) for b in bins]
    gaps = np.abs(np.subtract(predicted, share))
    return {
        "ece": float(gaps @ np.array(count) / len(probability)),
        "predicted": predicted,
        "happened": share,
        "samples": count,
    }


def _logistic(x: FloatArray, wrong: NDArray[np.bool_]) -> tuple[float, FloatArray]:
    """Offset and weights of a logistic regression with a small ridge, by Newton's method."""
    mean, std = x.mean(axis=0), np.maximum(x.std(axis=0), _LEAST_SPREAD)
    z = np.column_stack([np.ones(len(x)), (x - mean) / std])
    # Half an encounter of each kind more: without wrong ones their odds stay finite.
    z = np.concatenate([z, np.eye(1, z.shape[1]), np.eye(1, z.shape[1])])
    y, share = np.append(wrong, [0.0, 1.0]), np.append(np.ones(len(x)), [0.5, 0.5])
    ridge = np.diag([0.0] + [_RIDGE] * x.shape[1])
    theta = np.zeros(z.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-(z @ theta).clip(-500, 500)))
        gradient = z.T @ (share * (p - y)) + ridge @ theta
        hessian = z.T @ ((share * p * (1 - p))[:, None] * z) + ridge
        step = np.linalg.solve(hessian + 1e-9 * np.eye(len(theta)), gradient)
        theta -= step
        if np.abs(step).max() < 1e-10:
            break
    weights = theta[1:] / std
    return float(theta[0] - weights @ mean), weights


def _orientation_slope(judged: Sequence[Judged]) -> float:
    """Factor on the log odds with which the orientation scores of objects are likeliest.

    Reference: temperature scaling, Guo et al., ICML 2017.
    """
    objects = [item for item in judged if item.is_object]
    if not objects:
        return 1.0
    odds = np.array([log_odds(item.orientation_score) for item in objects])
    signed = np.where([item.flag_correct for item in objects], odds, -odds)
    slopes = np.exp(np.linspace(math.log(0.05), math.log(5.0), 401))
    return float(slopes[np.argmin(np.logaddexp(0, -slopes[:, None] * signed).sum(axis=1))])
