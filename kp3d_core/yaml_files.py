"""YAML files of strangers: plain values only, of a bounded size, without aliases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def read_yaml(path: Path, max_bytes: int) -> Any:
    """Content of a YAML or JSON file, as numbers, texts, lists and mappings.

    Args:
        path: of the file.
        max_bytes: larger files are refused before they are read.

    Raises:
        ValueError: no such file, too large, or not YAML; the text is the reason, without the path.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise ValueError(f"a file of over {max_bytes / 1e6:.0f} MB")
        return yaml.load(content.decode(), _PlainLoader)  # noqa: S506 - a safe loader
    except RecursionError as error:
        raise ValueError("values nested too deep") from error
    except (OSError, yaml.YAMLError, ValueError, TypeError, ArithmeticError) as error:
        raise ValueError(" ".join(str(error).split())[:500]) from error


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases: a few lines of them stand for gigabytes when they are written out."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One value."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"aliases are not read{self.peek_event().start_mark}")
        return super().compose_node(parent, index)
