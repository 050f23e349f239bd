"""Figures of merit over objects in photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WRONG_DEG = 30.0
"""A rotation further off than this is wrong (Acc@30 of the literature)."""


@dataclass(frozen=True)
class Measured:
    """One object, found in its box."""

    image: str
    box_height_px: float
    azimuth_error_deg: float
    """Error of the direction, about the object's z axis, from which the camera sees it."""
    rotation_error_deg: float
    translation_error: float
    """Relative to the distance; the true length is known."""
    accepted: bool
    confidence: float
    """Mean score of the keypoints times orientation score; orders the risk-coverage curve."""
    orientation_score: float
    score: float
    misfit: float
    scale: float
    runs: int
    problems: tuple[str, ...]


def summarize(rows: Sequence[Measured]) -> dict[str, Any]:
    """Figures over at least one object; shares are in 0..1.

    `orientation_similarity` is KITTI's, the mean of (1 + cos(azimuth error)) / 2 over all boxes.
    """
    azimuth = np.array([row.azimuth_error_deg for row in rows])
    rotation = np.array([row.rotation_error_deg for row in rows])
    translation = np.array([row.translation_error for row in rows])
    accepted = np.array([row.accepted for row in rows])
    wrong = rotation > WRONG_DEG
    return {
        "count": len(rows),
        "azimuth_deg": {
            "mean": float(azimuth.mean()),
            "median": float(np.median(azimuth)),
            "within_15": float((azimuth <= 15).mean()),
            "within_30": float((azimuth <= 30).mean()),
        },
        "rotation_deg": {
            "median": float(np.median(rotation)),
            "within_30": float((~wrong).mean()),
        },
        "orientation_similarity": float((0.5 + 0.5 * np.cos(np.radians(azimuth))).mean()),
        "translation": {"median": float(np.median(translation))},
        "accepted": float(accepted.mean()),
        "wrong_among_accepted": float(wrong[accepted].mean()) if accepted.any() else None,
        "risk_coverage": risk_coverage(wrong, np.array([row.confidence for row in rows])),
    }


def risk_coverage(wrong: np.ndarray, confidence: np.ndarray) -> list[tuple[float, float]]:
    """Share of objects kept, most certain first, and share of wrong ones among them."""
    order = np.argsort(-confidence, kind="stable")
    kept = np.arange(1, len(order) + 1)
    risk = np.cumsum(wrong[order]) / kept
    return [(float(k / len(order)), float(r)) for k, r in zip(kept, risk, strict=True)]
