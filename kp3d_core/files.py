"""Files and folders that are either whole or absent, and outputs that take nothing else away."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

TEMPORARY_SUFFIX = ".partial"


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary neighbour of `path`; it takes that name only after a complete write.

    The data is on disk before the rename and the rename before the return, so a crash leaves the
    old file, the new file, or a `.partial` file, never a half-written `path`. What a symbolic link
    points to is replaced, not the link; a pipe or device is written to as it is.
    """
    path = path.resolve()
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as stream:
            yield stream
        return
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(path) as stream:
        stream.write(text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write readable JSON, whole or not at all, and the folders above it."""
    write_text(path, json.dumps(content, indent=2) + "\n")


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Make a folder that takes the name `path`, and the place of what is there, when it is whole.

    Yields a path to make the folder at: it has the name of `path` and does not exist yet. It lies
    beside `path`, in a folder `.NAME.partial` that is gone afterwards. If the block raises, or the
    process is killed, `path` is what it was; the next call puts an old folder back that a process
    killed between the two renames left aside.
    """
    path = path.absolute()
    staging = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    new, old = staging / "new" / path.name, staging / "old"
    staging.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(staging):
        if old.exists() and not path.exists():
            old.rename(path)
        for leftover in (new.parent, old):
            shutil.rmtree(leftover, ignore_errors=True)
        new.parent.mkdir()
        try:
            yield new
            for file in (new, *new.rglob("*")):
                _sync(file)
            if path.exists():
                path.rename(old)
            try:
                new.rename(path)
            except OSError:
                if old.exists():
                    old.rename(path)
                raise
            _sync(path.parent)
        finally:
            if path.exists() or not old.exists():
                shutil.rmtree(staging)


def check_output_file(output: Path, *inputs: Path) -> None:
    """Refuse a file that cannot be written or is an input, before the work on it begins.

    Raises:
        ValueError: it is a folder, cannot be made, or is one of `inputs` after resolving links.
    """
    if output.is_dir():
        raise ValueError(f"{output} must be a file to write, got a folder. Name a file in it.")
    for source in inputs:
        if _resolved(source) == _resolved(output):
            raise ValueError(
                f"{output} must not be {source}, which is read: it would be lost. Choose another "
                "output."
            )
    _check_writable(output)


def check_output_folder(output: Path, *marks: str, holds: str = "") -> None:
    """Refuse a folder that cannot be made, or that holds something else, before anything is made.

    Args:
        output: folder to make or to fill.
        marks: files or folders, one of which shows that it is from an earlier run; with none of
            them given, files beside other files are no harm.
        holds: what `marks` stand for, such as "a run".

    Raises:
        ValueError: it is a file, cannot be made, or holds other things and none of `marks`.
    """
    if output.is_symlink() and not output.exists():
        raise ValueError(
            f"{output} must be a folder, got a symbolic link to {output.readlink()}, which is not "
            "there. Make that folder, or choose another one."
        )
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output} must be a folder, got a file. Choose another path.")
    if output.exists() and marks and not any((output / mark).exists() for mark in marks):
        foreign = sorted(p.name for p in output.iterdir() if not p.name.startswith("."))
        if foreign:
            raise ValueError(
                f"{output} must be empty or hold {holds}, but it holds {', '.join(foreign[:3])} "
                f"and no {' or '.join(marks)}. Choose an empty folder."
            )
    _check_writable(output)


def remove_partial_files(folder: Path) -> None:
    """Delete what an earlier, killed run left of its unfinished files."""
    for leftover in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        leftover.unlink()


@contextmanager
def exclusive_lock(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold the folder's lock; a second process is refused, or waits, and mixes no files in."""
    with (folder / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise ValueError(
                f"{folder} is being written by another process. Wait for it or choose another "
                "output folder."
            ) from error
        yield


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _check_writable(output: Path) -> None:
    """Whether an output, or the first folder that would have to be made for it, can be written."""
    place = output.resolve()
    while not place.exists() and place != place.parent:
        place = place.parent
    if place != output.resolve() and not place.is_dir():
        raise ValueError(f"{output} must lie in a folder, {place} is a file. Choose another path.")
    if not os.access(place, os.W_OK):
        raise ValueError(f"{output} must be writable, {place} is not. Choose another path.")


def _resolved(path: Path) -> Path:
    return path.expanduser().resolve()


def _sync(path: Path) -> None:
    """Put a file or folder on disk, whatever happens to the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
