"""Finds the files that a mesh names, wherever they are below the folder that was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trimesh.resolvers import Resolver

_MAX_BYTES = 128 << 20
_SUBFOLDERS = (".", "images", "textures", "../images", "../textures")


class TolerantResolver(Resolver):  # type: ignore[misc]
    """Reads materials, textures and buffers beside a mesh.

    Names may have backslashes, another case, or the folder of another machine. Nothing outside of
    `root` is ever read.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        """Resolve for a file.

        Args:
            folder: that the mesh file lies in.
            root: folder that nothing may leave.
        """
        self._folder = folder.resolve()
        self._root = root.resolve()
        self.missing: list[str] = []
        """Names that were asked for and not found."""

    def get(self, name: str) -> bytes:
        """Content of a file.

        Raises:
            FileNotFoundError: it is not there, lies outside of the root, or is too large.
        """
        path = self._find(str(name))
        if path is None:
            self.missing.append(str(name))
            raise FileNotFoundError(name)
        return path.read_bytes()

    def keys(self) -> list[str]:
        """Names of the files beside the mesh."""
        return [path.name for path in self._folder.iterdir() if path.is_file()]

    def write(self, name: str, data: bytes) -> None:
        """Not offered: meshes are read only."""
        raise PermissionError(f"{name} must not be written.")

    def namespaced(self, namespace: str) -> Any:
        """A resolver for a folder below."""
        return TolerantResolver(self._folder / namespace, self._root)

    def _find(self, name: str) -> Path | None:
        clean = name.replace("\\", "/").strip().strip('"')
        base = clean.rsplit("/", 1)[-1]
        # Options of map_Kd, such as "-s 1 1 1 wood.png", stand before the name.
        names = dict.fromkeys([clean, base, base.split(" ")[-1]])
        for candidate in names:
            # ShapeNet v1 has textures in a folder of the model's own name, too.
            for folder in (*_SUBFOLDERS, self._folder.name):
                path = self._inside(self._folder / folder / candidate)
                if path is not None:
                    return path
        return None

    def _inside(self, path: Path) -> Path | None:
        """The file, if it is there in any case of letters and below the root."""
        path = path.resolve()
        if not path.is_relative_to(self._root):
            return None
        if not path.is_file():
            if not path.parent.is_dir():
                return None
            alike = [p for p in path.parent.iterdir() if p.name.lower() == path.name.lower()]
            if not alike or not alike[0].resolve().is_relative_to(self._root):
                return None
            path = alike[0]
        return path if path.is_file() and path.stat().st_size <= _MAX_BYTES else None
