"""Where the objects of a category come from: the code here, or a folder of imported meshes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from kp3d_core.data.generate import InstanceSource, ProceduralSource, procedural_source
from kp3d_core.data.procedural import CATEGORIES, check_version
from kp3d_core.data.procedural import Instance as ProceduralInstance
from kp3d_core.objects.meshes.mesh_list import MeshList, read_category, read_mesh_list
from kp3d_core.objects.meshes.source import MeshInstance, MeshSource
from kp3d_core.objects.meshes.variation import Variation

Instance = ProceduralInstance | MeshInstance
"""What the sources here make."""
LIST_SUFFIXES = (".yaml", ".yml", ".json")
"""Of files that `object_category` takes."""


@dataclass(frozen=True)
class ObjectCategory:
    """A built-in category, or one that `kp3d import` wrote."""

    name: str
    """Such as "mug"."""
    lists: dict[str, MeshList] = field(default_factory=dict)
    """Imported meshes of each split; empty for a built-in category."""
    added: MeshList | None = None
    """Meshes that make a share of the objects to train on, the rest being built-in."""
    added_share: float = 0.0
    generator: int = 1
    """Version of the built-in objects to train on; all others are of version 1."""

    def __post_init__(self) -> None:
        """Report an unknown version."""
        check_version(self.generator)

    @property
    def symmetry(self) -> str:
        """About z, as far as it is known: one of `geometry.symmetry.SYMMETRIES`."""
        return self.lists["train"].symmetry if self.lists else "none"

    def source(self, split: str) -> InstanceSource:
        """What makes the objects of a split.

        Imported meshes are changed at random, for each object in another way, those to train on as
        those to validate and calibrate on; the test shows them as they are, one after the other.
        """
        if not self.lists:
            is_plain = self.generator == 1 or split != "train"
            built_in = procedural_source if is_plain else ProceduralSource(self.generator)
            if self.added is None or split != "train":
                return built_in
            return MeshSource(self.added, Variation(), self.added_share, built_in)
        return MeshSource(self.lists[split], None if split == "test" else Variation())

    def most(self, split: str) -> int | None:
        """How many different objects a split has; None if any number."""
        return len(self.lists[split].entries) if self.lists and split == "test" else None

    def digest(self, split: str) -> str:
        """Of what the objects of a split are made of, their files included; the code apart."""
        return getattr(self.source(split), "digest", self.name)

    def with_meshes(self, path: Path, share: float) -> ObjectCategory:
        """A built-in category, some of whose objects to train on are made of listed meshes.

        Args:
            path: of the list, see `mesh_list`.
            share: of the objects.

        Raises:
            ValueError: an imported category, no share, or a list without meshes to train on.
        """
        if self.lists:
            raise ValueError(
                f"meshes can be added to built-in categories only, got {self.name}, which is made "
                "of meshes. Import all of them as one category."
            )
        listed = read_mesh_list(path, self.name, "train")
        mixed = replace(self, added=listed, added_share=share)
        mixed.source("train")
        return mixed


def built_in(name: str) -> ObjectCategory | None:
    """The built-in category of a name, if there is one."""
    return ObjectCategory(name) if name in CATEGORIES else None


def object_category(name_or_file: str) -> ObjectCategory:
    """The category of a name or a list of meshes.

    Args:
        name_or_file: such as "car", or the path of a file of `kp3d import`.

    Raises:
        ValueError: neither; or a list that cannot be read, or that lacks meshes of a split.
    """
    category = built_in(name_or_file)
    if category is not None:
        return category
    if not name_or_file.endswith(LIST_SUFFIXES):
        raise ValueError(
            f"category must be one of {', '.join(CATEGORIES)}, or the file of one that `kp3d "
            f"import` wrote, such as categories/bottle.yaml, got {name_or_file}"
        )
    return ObjectCategory(*read_category(Path(name_or_file)))
