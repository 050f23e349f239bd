"""The RViz configuration shows topics that the node publishes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from kp3d_ros.outputs import TOPICS

CONFIG = Path(__file__).parents[2] / "config" / "kp3d.rviz"


def displays() -> list[dict[str, Any]]:
    return yaml.safe_load(CONFIG.read_text())["Visualization Manager"]["Displays"]


def test_topics_exist_with_that_type():
    expected = {"MarkerArray": "MarkerArray", "PoseWithCovariance": "PoseWithCovarianceStamped"}
    for display in displays():
        topic = display.get("Topic", {}).get("Value", "")
        if topic.startswith("/detector/"):
            kind = display["Class"].rsplit("/", 1)[1]
            published = TOPICS[topic.replace("/detector/", "~/")].__name__
            assert published == expected.get(kind, kind), display["Name"]


def test_image_keypoints_ellipsoids_both_poses_and_tf_are_shown():
    shown = {d["Class"].rsplit("/", 1)[1]: d for d in displays() if d["Enabled"]}
    topics = {d["Topic"]["Value"] for d in displays() if d["Enabled"] and "Topic" in d}

    assert {"Camera", "TF"} <= shown.keys()
    assert topics == {
        "/camera/image_raw",
        "/detector/markers",
        "/detector/covariance_markers",
        "/detector/pose",
        "/detector/relative_pose",
    }


def test_it_fits_the_launch_line_of_the_readme():
    readme = (CONFIG.parents[1] / "README.md").read_text()
    arguments = dict(
        re.findall(r"(\w+):=(\S+)", readme.partition("ros2 launch")[2].splitlines()[0])
    )
    (camera,) = (d for d in displays() if d["Class"].endswith("/Camera"))

    assert camera["Topic"]["Value"] == arguments["image"]
    # RViz takes the calibration from beside the image.
    assert arguments["camera_info"] == f"{arguments['image'].rpartition('/')[0]}/camera_info"
