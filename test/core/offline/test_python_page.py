"""The code on docs/python.md runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[3]


def test_the_code_of_the_page_runs(tmp_path):
    page = (ROOT / "docs" / "python.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    cv2.imwrite(str(tmp_path / "street.jpg"), np.full((300, 500, 3), 128, np.uint8))
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules['torch'] = None\n{code}"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "False" in result.stdout  # nothing is on the picture
    assert "front_left_mid" in result.stdout
