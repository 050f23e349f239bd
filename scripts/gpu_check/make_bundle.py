"""Gather all that a check on an NVIDIA GPU needs: `python make_bundle.py FOLDER`.

The folder then holds this repository as it is committed, the wheels that it needs, and `run.py`, in
files under 64 MiB. Copy it to a machine with an NVIDIA GPU and the same Python; there one command
without network does the rest: `python3 run.py`. Needs a package index, and Python 3.11.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PART_BYTES = 60 << 20
"""Of the largest file."""
EXTRAS = ("train", "openvino", "tensorrt-rtx")
TOOLS = ("beartype", "hypothesis", "pytest", "pytest-timeout", "pyyaml")
"""What the tests of engines need of the extra `test`."""
GPU_RUNTIME = "onnxruntime-gpu[cuda,cudnn]>=1.20"
"""In place of onnxruntime: the same module, and both cannot be installed."""


def main() -> None:
    """Make the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="must not exist yet")
    folder: Path = parser.parse_args().folder
    if folder.exists():
        sys.exit(f"error: FOLDER must not exist yet, got {folder}. Choose another one.")
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    source = folder / "kp3d.tar.gz"
    run("git", "-C", REPOSITORY, "archive", "--format=tar.gz", "-o", source.resolve(), "HEAD")
    needed, pins = folder / "requirements.txt", folder / "constraints.txt"
    project = project_table()
    needed.write_text("\n".join(requirements(project)) + "\n")
    pins.write_text("".join(constraints((REPOSITORY / "constraints.txt").read_text())))
    pip = (sys.executable, "-m", "pip", "download", "--disable-pip-version-check")
    run(*pip, "--only-binary", ":all:", "-d", wheels, "-c", pins, "-r", needed)
    shutil.copy(Path(__file__).with_name("run.py"), folder / "run.py")
    files = [entry for path in (source, *sorted(wheels.iterdir())) for entry in split(path, folder)]
    about = {
        "python": platform.python_version_tuple()[:2],
        "machine": platform.machine(),
        "commit": run("git", "-C", REPOSITORY, "rev-parse", "HEAD").strip(),
        "files": files,
    }
    (folder / "bundle.json").write_text(json.dumps(about, indent=1) + "\n")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.0f} MB. On the machine with the GPU: python3 run.py")


def project_table() -> dict:
    """The table [project] of pyproject.toml."""
    try:
        import tomllib
    except ImportError:
        sys.exit("error: make_bundle.py needs Python 3.11 or newer, to read pyproject.toml.")
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def requirements(project: dict) -> list[str]:
    """What is installed, each once; references to extras of the project itself are followed."""
    extras = project["optional-dependencies"]
    found = list(project["dependencies"])
    waiting = list(EXTRAS)
    seen: set[str] = set()
    while waiting:
        extra = waiting.pop()
        if extra in seen:
            continue
        seen.add(extra)
        for line in extras[extra]:
            if own := re.fullmatch(rf"{project['name']}\[(.*)\]", line):
                waiting += own[1].split(",")
            else:
                found.append(line)
    found += [line for line in extras["test"] if name_of(line) in TOOLS]
    found = [GPU_RUNTIME if name_of(line) == "onnxruntime" else line for line in found]
    return list(dict.fromkeys(found))


def constraints(text: str) -> Iterator[str]:
    """Lines of the constraints file, but for what has another version for GPUs."""
    for line in text.splitlines(keepends=True):
        if name_of(line) != "onnxruntime":
            yield line


def name_of(requirement: str) -> str:
    """Name of the package that a line is about; empty for a comment."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return match[0].lower() if match else ""


def split(path: Path, folder: Path) -> Iterator[dict]:
    """Entry of a file for the manifest; one that is too large is replaced by its parts."""
    content = path.read_bytes()
    name = str(path.relative_to(folder))
    parts = []
    if len(content) > PART_BYTES:
        for number, start in enumerate(range(0, len(content), PART_BYTES)):
            part = path.with_name(f"{path.name}.part{number:03d}")
            part.write_bytes(content[start : start + PART_BYTES])
            parts.append(str(part.relative_to(folder)))
        path.unlink()
    yield {"name": name, "sha256": hashlib.sha256(content).hexdigest(), "parts": parts or [name]}


def run(*command: object) -> str:
    """Output of a command; ends the program if it fails."""
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"error: {' '.join(map(str, command))} failed, see above.")
    return done.stdout


if __name__ == "__main__":
    main()
