"""The page of features names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_feature_has_a_test():
    text = (ROOT / "docs" / "features.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| (test/\S*(?:, test/\S*)*) \|$", text, re.MULTILINE)

    assert len(rows) > 30
    assert len(rows) == text.count("| test/")  # none has another form
    named = [(feature, path) for feature, paths in rows for path in paths.split(", ")]
    missing = [(feature, path) for feature, path in named if not (ROOT / path).exists()]
    assert missing == []
