"""Where a data set is written to: a folder, or a place that fsspec knows, such as s3://bucket/set.

At such a place a shard is whole before the manifest lists it, and the manifest is replaced in one
step. Runs that meet there write the same bytes, so that nothing is lost or doubled.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kp3d_core.data.manifest import MANIFEST_NAME
from kp3d_core.files import TEMPORARY_SUFFIX

Publish = Callable[[Path], None]
"""Told of every file that is whole."""


def is_url(output: str | Path) -> bool:
    """Whether an output is a URL, not a path."""
    return "://" in str(output)


@contextmanager
def working_folder(output: str | Path) -> Iterator[tuple[Path, Publish]]:
    """A folder on this machine to write a set to, and what to do with each file that is whole.

    Args:
        output: path of a folder, which then is the one to write to; or URL. What is at a URL
            already is not fetched but for its manifest, so that an interrupted set is continued;
            of what is written there is one shard at a time on this machine.

    Raises:
        ValueError: the URL is of no kind that is installed, or holds something else.
    """
    if not is_url(output):
        yield Path(output), lambda path: None
        return
    url = str(output)
    files, root = _open(url)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "set"
        folder.mkdir()
        manifest = f"{root}/{MANIFEST_NAME}"
        files.makedirs(root, exist_ok=True)
        if files.exists(manifest):
            files.get_file(manifest, str(folder / MANIFEST_NAME))
        elif foreign := [Path(name).name for name in files.ls(root, detail=False)]:
            shards = [name for name in foreign if name.startswith(("shard-", "."))]
            if len(shards) < len(foreign):  # else a run was killed before its first manifest
                raise ValueError(
                    f"{url} must be empty or hold an unfinished set, but it holds "
                    f"{', '.join(sorted(set(foreign) - set(shards))[:3])}. Choose an empty place."
                )

        def publish(path: Path) -> None:
            target = f"{root}/{path.name}"
            if path.name == MANIFEST_NAME:
                new = f"{root}/.{path.name}{TEMPORARY_SUFFIX}"
                files.put_file(str(path), new)
                files.mv(new, target)
                return
            files.put_file(str(path), target)
            if files.size(target) != path.stat().st_size:
                raise OSError(f"{url}/{path.name} was not stored whole. Run the command again.")
            path.unlink()

        try:
            yield folder, publish
        except ValueError as error:
            raise ValueError(str(error).replace(str(folder), url)) from error


def _open(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs

        files, root = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ValueError(
            f"{url} cannot be opened: {error}. Writing to URLs needs `pip install 'kp3d[cluster]'` "
            "and fsspec's package for that kind, such as s3fs."
        ) from error
    return files, str(root).rstrip("/")
