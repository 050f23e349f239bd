"""Names of keypoints that documents and comments use are those of the shipped models."""

from __future__ import annotations

import re
from pathlib import Path

from kp3d_core.inference import load_model

ROOT = Path(__file__).parents[1]
FILES = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "kp3d_ros" / "collision.py"]


def test_subframes_are_keypoints_of_shipped_models():
    used = {
        (path.name, model, keypoint)
        for path in FILES
        for model, keypoint in re.findall(r'"([a-z]+)_1/([a-z_0-9]+)"', path.read_text())
    }

    assert len(used) >= 2  # the example for MoveIt, and the comment in its code
    for path, model, keypoint in used:
        assert keypoint in load_model(model).keypoints.names, path
