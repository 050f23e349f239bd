"""Settings check themselves."""

from __future__ import annotations

import dataclasses
import math

import pytest

from kp3d_core.inference import DetectorSettings


def test_defaults_are_valid():
    assert dataclasses.is_dataclass(DetectorSettings())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_runs": 0}, "max_runs must be a positive number, got 0"),
        ({"scale_tolerance": math.nan}, "scale_tolerance must be a positive number, got nan"),
        ({"max_wrong": -0.5}, r"max_wrong must be in \[0, 1\], got -0.5"),
        ({"min_inside": 80.0}, r"min_inside must be in \[0, 1\], got 80"),
        ({"min_scale": 1.5}, "min_scale < 1 < max_scale must hold, got 1.5 and 1.7"),
        ({"turn_patience": -1}, "turn_patience must not be negative, got -1"),
        ({"max_runs": -1, "max_turn_deg": 0.0}, "max_runs.*max_turn_deg"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        DetectorSettings(**changes)


def test_zero_turns_a_check_off():
    settings = DetectorSettings(max_wrong=0.0, min_inside=0.0, turn_patience=0)
    assert settings.max_wrong == settings.min_inside == settings.turn_patience == 0
