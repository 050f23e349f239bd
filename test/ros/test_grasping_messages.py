"""What docs/grasping.md shows of messages works on the messages that the node publishes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovariance, PoseWithCovarianceStamped
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

PAGE = Path(__file__).parents[2] / "docs" / "grasping.md"


def with_std(std_m: float) -> PoseWithCovariance:
    return PoseWithCovariance(covariance=np.diag([std_m**2] * 3 + [0.01] * 3).ravel())


@pytest.mark.parametrize(("std_m", "certain"), [(0.004, True), (0.006, False)])
def test_how_much_to_trust_a_pose(std_m: float, certain: bool) -> None:
    (code,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
        if "def is_certain" in block
    )
    pose = with_std(std_m)
    result = ObjectHypothesisWithPose(pose=pose)
    names = {
        "np": np,
        "pose_stamped": PoseWithCovarianceStamped(pose=pose),
        "detections": Detection3DArray(detections=[Detection3D(results=[result])]),
    }
    exec(code, names)
    calls = [line.partition("#")[0] for line in code.splitlines() if line.startswith("is_certain(")]

    assert len(calls) == 2  # of ~/pose and of ~/detections_3d
    assert [bool(eval(call, names)) for call in calls] == [certain, certain]
