"""What is written into model files does not depend on which engines a machine has."""

from __future__ import annotations

import ast
from pathlib import Path

import kp3d_core.package


def test_everything_here_runs_the_reference_engine():
    calls = [
        node
        for path in Path(kp3d_core.package.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "create_engine"
    ]
    assert calls
    assert {ast.unparse(call.args[1]) if len(call.args) > 1 else "auto" for call in calls} == {
        "REFERENCE_ENGINE"
    }
