"""Stages of work in a folder: each is done once, whatever kills it, until its inputs change."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kp3d_core.files import write_text

_STATE = ".build"
"""Folder of what has been done, in the run folder."""


@dataclass(frozen=True)
class Stage:
    """A piece of work."""

    name: str
    folder: Path
    """Folder or file that it writes; removed where it was made from other inputs."""
    inputs: dict[str, Any]
    """All that the result depends on: settings, and `key` of the stages before."""
    code: tuple[str, ...]
    """Modules and packages whose change changes the result."""
    run: Callable[[], object]
    """Does the work, or goes on where it was stopped."""
    seconds: float = 0.0
    """Estimated duration [s]."""
    memory_mb: float = 0.0
    """Estimated."""
    disk_mb: float = 0.0
    """Estimated."""

    @property
    def key(self) -> str:
        """Digest of inputs and code."""
        content = json.dumps(self.inputs, sort_keys=True, default=plain)
        digest = hashlib.sha256(content.encode())
        for name in self.code:
            digest.update(code_digest(name).encode())
        return digest.hexdigest()


def run_stages(
    folder: Path, stages: Sequence[Stage], say: Callable[[str], None] = lambda text: None
) -> list[str]:
    """Do what is still to do, in the order of the stages; `say` is told what begins.

    Returns:
        Names of the stages that were not done already.
    """
    made = []
    for stage in stages:
        if is_done(folder, stage):
            continue
        key = stage.key
        state = read_state(folder, stage.name)
        if state.get("key") != key or state["done"]:
            if state and stage.folder.exists():
                say(f"{stage.name}: inputs have changed, made anew")
                _remove(stage.folder)
            state = {"key": key, "done": False, "seconds": 0.0}
            _write_state(folder, stage.name, state)
        say(f"{stage.name}: {'goes on' if stage.folder.exists() else 'begins'}")
        started = time.monotonic()
        try:
            stage.run()
        finally:
            state["seconds"] += time.monotonic() - started
            _write_state(folder, stage.name, state)
        _write_state(folder, stage.name, state | {"done": True})
        made.append(stage.name)
    return made


def _remove(path: Path) -> None:
    """A folder with all in it, or a file."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def is_done(folder: Path, stage: Stage) -> bool:
    """Whether nothing is to do."""
    state = read_state(folder, stage.name)
    return state.get("done") is True and stage.folder.exists() and state["key"] == stage.key


def read_state(folder: Path, name: str) -> dict[str, Any]:
    """What is known of a stage; empty if it has never begun."""
    path = folder / _STATE / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def _write_state(folder: Path, name: str, state: dict[str, Any]) -> None:
    write_text(folder / _STATE / f"{name}.json", json.dumps(state, indent=1) + "\n")


def code_digest(name: str) -> str:
    """Digest of what a module or package does: comments, docstrings and layout do not count."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    places = spec.submodule_search_locations
    files = sorted(Path(places[0]).rglob("*.py")) if places else [Path(spec.origin)]
    parts = (_file_digest(path, path.stat().st_mtime_ns) for path in files)
    return hashlib.sha256("".join(parts).encode()).hexdigest()


@cache
def _file_digest(path: Path, mtime_ns: int) -> str:
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [part for part in body if not _is_text(part)]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def plain(value: object) -> object:
    """JSON form of settings and paths."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
