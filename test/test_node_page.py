"""docs/node.md says what the node declares."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_its_table_of_parameters_is_that_of_the_settings():
    script = runpy.run_path(str(ROOT / "scripts" / "node_page.py"))
    page = (ROOT / "docs" / "node.md").read_text()

    assert script["with_table"](page) == page, "run python scripts/node_page.py"


def test_its_published_topics_are_those_of_the_node():
    outputs = pytest.importorskip("kp3d_ros.outputs", reason="no ROS 2")
    page = (ROOT / "docs" / "node.md").read_text()
    named = dict(re.findall(r"^\| `(~/\w+)` \| `\w+/(\w+)` \|", page, re.MULTILINE))

    published = {topic: kind.__name__ for topic, kind in outputs.TOPICS.items()}
    assert named.items() >= published.items()
    assert named.keys() - published.keys() <= {outputs.LAYOUT_TOPIC, outputs.COLLISION_TOPIC}
