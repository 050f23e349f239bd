"""Parameter files that cannot be read, or hold nothing for the node that they were given to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from kp3d_ros.settings import ONE_TYPE

_PARAMETERS = "ros__parameters"
_HINTS = {
    "Sequence should be of same type": f" {ONE_TYPE}",
    "before ros__parameters": (
        f" A parameter file has the form NODE: {{{_PARAMETERS}: {{NAME: VALUE}}}}, with two "
        "underscores; NODE may be '/**'."
    ),
}
"""What to do about errors of ROS 2's own reader."""


def with_hint(error: str) -> str:
    """An error of `rclpy.init`, and what to do about it where that is known."""
    return error + next((hint for text, hint in _HINTS.items() if text in error), "")


def files_for_others(arguments: Sequence[str], node: str) -> Iterator[str]:
    """A sentence about each file of `--params-file` without a section for a node.

    ROS 2 passes over such sections in silence.

    Args:
        arguments: of the command line.
        node: its full name.
    """
    for option, file in zip(arguments, arguments[1:], strict=False):
        if option != "--params-file":
            continue
        sections = list(_sections(yaml.safe_load(Path(file).read_text()), ""))
        if any(_is_for(section, node) for section in sections):
            continue
        yield (
            f"Parameter file {file} holds nothing for this node, {node}: its sections are for "
            f"{', '.join(sections) or 'no node'}. Name the section '{node}', or '/**' for any node."
        )


def _is_for(section: str, node: str) -> bool:
    """Whether ROS 2 reads a section for a node: * stands for one part of its name, ** for any."""
    parts = {"*": r"/\w+", "**": r"(/\w+)*"}
    pattern = "".join(
        parts.get(part, "/" + re.escape(part)) for part in section.strip("/").split("/")
    )
    return re.fullmatch(pattern, node) is not None


def _sections(content: Any, path: str) -> Iterator[str]:
    """Full names of the nodes that a file has parameters for."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if key == _PARAMETERS:
            yield path
        else:
            yield from _sections(value, f"{path}/{str(key).strip('/')}")
