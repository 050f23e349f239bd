"""Where a result came from: command line, commit, versions."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

_ABSOLUTE = re.compile(r"(?:(?<=^)|(?<=[\s=\[\](){},:'\"]))(?:~/|/(?!/))[^\s\[\](){},:'\"]+")
"""An absolute path, or one in a home folder, within a text; no address of a web page."""


def placeless(value: Any) -> Any:
    """JSON content without the folders of the machine that made it: of absolute paths, the names.

    What a file is shall be told by its digest and settings; where it lay helps nobody elsewhere,
    and tells about the machine.
    """
    if isinstance(value, dict):
        return {key: placeless(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [placeless(item) for item in value]
    if not isinstance(value, str):
        return value
    if value.startswith(("/", "~/")) and len(value) > 2:
        return PurePath(value).name
    return _ABSOLUTE.sub(lambda found: PurePath(found.group()).name, value)


def git_commit() -> str:
    """Commit of the source tree this package runs from, with `+changes` if it was edited.

    "unknown" for an installed package.
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return "unknown"
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(root, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def provenance() -> dict[str, str]:
    """Command without folders of this machine, commit, time and versions, as text."""
    versions = {}
    for package in ("kp3d", "numpy", "torch", "lightning", "onnxruntime"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "command": " ".join([Path(sys.argv[0]).name, *placeless(sys.argv[1:])]),
        "commit": git_commit(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **versions,
    }


def _git(root: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    )
    return result.stdout.strip()
