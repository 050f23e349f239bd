"""Instances made of listed meshes, alone or mixed with those of another source."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.objects.meshes.mesh_list import MeshEntry, MeshList
from kp3d_core.objects.meshes.reading import load_mesh
from kp3d_core.objects.meshes.variation import Variation, vary
from kp3d_core.rendering.mesh import Mesh


@dataclass(frozen=True)
class MeshInstance:
    """An object made of a mesh; it has no named landmarks."""

    kind: str
    """Source and file that it comes from."""
    mesh: Mesh
    category: str
    seed: int
    landmarks: dict[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class MeshSource:
    """Makes the instance of a category and a seed: one of the listed meshes.

    Changed at random, for training: meshes of every source in the list are equally frequent
    together, however many each one has. As they are, for measuring: consecutive seeds are the
    meshes of the list one after the other.
    """

    meshes: MeshList
    variation: Variation | None = field(default_factory=Variation)
    """How they are changed; None: they stay as they are."""
    share: float = 1.0
    """Share of instances that come from the list."""
    others: Callable[[str, int], Any] | None = None
    """Makes the rest, such as `procedural_source`; needed where `share` is under 1."""

    def __post_init__(self) -> None:
        """Report impossible settings."""
        if not 0 < self.share <= 1:
            raise ValueError(f"mesh share must be in (0, 1], got {self.share}.")
        if self.share < 1 and self.others is None:
            raise ValueError(f"A mesh share of {self.share} needs another source for the rest.")

    @property
    def digest(self) -> str:
        """What decides which objects come out, apart from the code."""
        rest = getattr(self.others, "digest", "")
        return f"{self.meshes.digest} {self.share} {self.variation} {rest}".rstrip()

    @property
    def symmetry(self) -> str:
        """Of the category about z; objects of another source may look otherwise."""
        return self.meshes.symmetry if self.share == 1 else "none"

    def __call__(self, category: str, seed: int) -> Any:
        """The instance of a seed."""
        entropy = np.random.SeedSequence([zlib.crc32(b"meshes"), seed])
        rng = np.random.default_rng(entropy)
        if rng.random() >= self.share:
            assert self.others is not None
            return self.others(category, seed)
        if self.variation is None:
            entry = self.meshes.entries[seed % len(self.meshes.entries)]
            mesh = _cached(entry)
        else:
            entry = self._draw(rng)
            mesh = vary(_cached(entry), self.variation, rng, self.meshes.symmetry)
        return MeshInstance(f"{entry.source}:{Path(entry.name).stem}", mesh, category, seed)

    def _draw(self, rng: np.random.Generator) -> MeshEntry:
        sources = sorted({entry.source for entry in self.meshes.entries})
        source = sources[rng.integers(len(sources))]
        of_source = [entry for entry in self.meshes.entries if entry.source == source]
        return of_source[rng.integers(len(of_source))]


@lru_cache(maxsize=64)
def _cached(entry: MeshEntry) -> Mesh:
    return load_mesh(entry)
