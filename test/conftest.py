"""Marks that skip themselves where the machine lacks what they need."""

from __future__ import annotations

import importlib.util
import shutil

import pytest

NEEDED = {
    "gpu": (lambda: shutil.which("nvidia-smi") is not None, "needs an NVIDIA GPU"),
    "ros": (
        lambda: importlib.util.find_spec("rclpy") is not None,
        "needs rclpy: run `make test`, which installs it",
    ),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for mark, (available, reason) in NEEDED.items():
        marked = [item for item in items if item.get_closest_marker(mark)]
        if marked and not available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))
