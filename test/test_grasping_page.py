"""Code on the page of grasping is the code that runs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_named_blocks_stand_in_their_files() -> None:
    text = (ROOT / "docs" / "grasping.md").read_text()
    blocks = re.findall(r"<!-- (\S+\.py) -->\n```python\n(.*?)```", text, re.DOTALL)

    assert len(blocks) >= 3
    for path, block in blocks:
        assert block in (ROOT / path).read_text(), f"{path}: {block}"
