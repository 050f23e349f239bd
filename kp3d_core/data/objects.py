"""Where the objects of a category come from: the code here, or a folder of imported meshes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kp3d_core.data.generate import InstanceSource, procedural_source
from kp3d_core.data.procedural import CATEGORIES
from kp3d_core.objects.meshes.mesh_list import MeshList, read_category
from kp3d_core.objects.meshes.source import MeshSource
from kp3d_core.objects.meshes.variation import Variation

LIST_SUFFIXES = (".yaml", ".yml", ".json")
"""Of files that `object_category` takes."""


@dataclass(frozen=True)
class ObjectCategory:
    """A built-in category, or one that `kp3d import` wrote."""

    name: str
    """Such as "mug"."""
    lists: dict[str, MeshList] = field(default_factory=dict)
    """Imported meshes of each split; empty for a built-in category."""

    @property
    def symmetry(self) -> str:
        """About z, as far as it is known: one of `symmetry.SYMMETRIES`."""
        return self.lists["train"].symmetry if self.lists else "none"

    def source(self, split: str) -> InstanceSource:
        """What makes the objects of a split.

        Imported meshes are changed at random, for each object in another way, those to train on as
        those to validate and calibrate on; the test shows them as they are, one after the other.
        """
        if not self.lists:
            return procedural_source
        return MeshSource(self.lists[split], None if split == "test" else Variation())

    def most(self, split: str) -> int | None:
        """How many different objects a split has; None if any number."""
        return len(self.lists[split].entries) if self.lists and split == "test" else None

    def digest(self, split: str) -> str:
        """Of what the objects of a split are made of, their files included; the code apart."""
        return getattr(self.source(split), "digest", self.name)


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
