"""The node's own image conversion and cv_bridge's: which is right, and which serves what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kp3d_ros import cv_bridge_conversion
from kp3d_ros.cv_bridge_conversion import CANDIDATES
from kp3d_ros.image_conversion import ENCODINGS

ROOT = Path(__file__).parents[2]
JUDGE = Path(__file__).with_name("cv_bridge_judge.py")
PYTHONS = (sys.executable, "/usr/bin/python3")
"""Debian's cv_bridge fits Debian's Python and NumPy, that of a sourced ROS 2 perhaps this one."""
KNOWN_LATELY = {"uyvy", "yuyv", "yuv422_yuy2", "nv12", "nv21"}
"""Encodings that no or not every version of cv_bridge knows."""


@pytest.fixture(scope="module")
def judged() -> dict[str, Any]:
    """What the judge says in the first Python that has a cv_bridge."""
    for python in PYTHONS:
        try:
            run = subprocess.run(
                [python, str(JUDGE)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *ros_paths()])},
                capture_output=True,
                text=True,
                timeout=120,
            )
        except OSError:
            continue
        if run.returncode == 0:
            return json.loads(run.stdout)
        if python != sys.executable and "No module named 'cv_bridge'" not in run.stderr:
            pytest.fail(run.stderr)
    pytest.skip("no Python here can import cv_bridge: apt install python3-cv-bridge")


def ros_paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_cv_bridge_gives_the_same_pixels(judged: dict[str, Any], encoding: str) -> None:
    result = judged["results"][encoding]

    # It finds colours behind a Bayer filter with 16 bits and rounds then, the node the other way.
    allowed = 1 if encoding.startswith("bayer") and encoding.endswith("16") else 0
    for kind in ("plain", "big-endian"):
        if encoding in KNOWN_LATELY:
            assert result[kind] in (0, "CvBridgeError")
        else:
            assert result[kind] <= allowed


def test_node_is_right_where_cv_bridge_is_not(judged: dict[str, Any]) -> None:
    # That the node's own code is right there is tested against OpenCV in test_image_conversion.
    results = judged["results"]

    assert results["rgb8"]["padded by a byte"] > 100
    assert results["mono16"]["10 bits"] > 100
    assert results["bayer_rggb16"]["10 bits"] > 100


def test_cv_bridge_converts_what_it_converts_alike(judged: dict[str, Any]) -> None:
    results = judged["results"]
    alike = {encoding for encoding in CANDIDATES if results[encoding]["plain"] == 0}

    assert {f"bayer_{name}8" for name in ("rggb", "bggr", "gbrg", "grbg")} < alike
    assert set(judged["by_cv_bridge"]) == alike  # and those with padded rows it does not get
    for result in results.values():
        assert result["node, plain"] == result["node, padded by a byte"] == 0


@pytest.mark.parametrize(
    "body",
    ["import os; os.abort()", "raise ImportError('numpy.core.multiarray failed to import')", ""],
    ids=["ends the process", "cannot be imported", "lacks what it should have"],
)
def test_cv_bridge_that_does_not_work_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    (tmp_path / "cv_bridge.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    cv_bridge_conversion.served.cache_clear()

    try:
        assert not any(cv_bridge_conversion.serves(encoding) for encoding in ENCODINGS)
    finally:
        cv_bridge_conversion.served.cache_clear()


def test_bare_machine_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    cv_bridge_conversion.served.cache_clear()

    try:
        assert not cv_bridge_conversion.serves("bayer_rggb8")
    finally:
        cv_bridge_conversion.served.cache_clear()
