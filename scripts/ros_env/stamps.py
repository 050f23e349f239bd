"""Stamps: a step whose inputs have not changed since it succeeded is not done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path


def digest(*parts: object) -> str:
    """Hash values and the contents of files and folders (given as `Path`)."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for file in _files(part):
                sha.update(str(file.relative_to(part.parent)).encode() + b"\0")
                sha.update(file.read_bytes() + b"\0")
        else:
            sha.update(json.dumps(part, sort_keys=True).encode() + b"\0")
    return sha.hexdigest()


def _files(path: Path) -> Iterable[Path]:
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


class Stamps:
    """One file per step in a folder of the environment, holding the hash of the step's inputs."""

    def __init__(self, folder: Path) -> None:
        """Keep the stamps in `folder`, which need not exist yet."""
        self._folder = folder

    def fresh(self, step: str, key: str) -> bool:
        """Tell whether `step` succeeded with these very inputs."""
        stamp = self._folder / step
        return stamp.is_file() and stamp.read_text(encoding="utf-8") == key

    def set(self, step: str, key: str) -> None:
        """Record that `step` succeeded."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / step).write_text(key, encoding="utf-8")

    def clear(self, step: str) -> None:
        """Forget `step`: it is about to be done again."""
        (self._folder / step).unlink(missing_ok=True)
