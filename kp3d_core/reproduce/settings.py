"""What an experiment is run with, kept beside its results so that no two settings mix."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kp3d_core.files import check_output_folder, exclusive_lock, write_text

IMAGE_SIZE = 128
"""Views are rendered at this size, the paper's [px]."""


class SetSize(NamedTuple):
    """How much is rendered for a split."""

    instances: int
    views: int

    @staticmethod
    def parse(text: str) -> SetSize:
        """Read `INSTANCESxVIEWS`, such as 100x200.

        Raises:
            ValueError: another form.
        """
        match = re.fullmatch(r"(\d+)x(\d+)", text)
        if not match:
            raise ValueError(
                f"A set's size must be INSTANCESxVIEWS, such as 100x200, got {text!r}. Give both."
            )
        return SetSize(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        """The form that `parse` reads."""
        return f"{self.instances}x{self.views}"


@dataclass(frozen=True)
class Settings:
    """The same for every row of a table."""

    budget: int = 4000
    """Training steps of each row, and of the pretrained orientation network."""
    pairs: int = 100
    """Pairs of views of each test instance."""
    train: SetSize = SetSize(1000, 24)
    val: SetSize = SetSize(40, 16)
    """Logged during training; decides nothing."""
    test: SetSize = SetSize(100, 200)
    overrides: tuple[str, ...] = field(default=())
    """Further settings of every training, in the form of `kp3d train`."""

    def __post_init__(self) -> None:
        """Report all impossible settings at once; what sets may hold, the generator checks."""
        problems = [
            f"{name} must be at least 1, got {getattr(self, name)}"
            for name in ("budget", "pairs")
            if getattr(self, name) < 1
        ]
        if self.test.views < 2:
            problems.append(f"test must have at least 2 views to form pairs, got {self.test}")
        if problems:
            raise ValueError("The experiment's settings are wrong: " + "; ".join(problems) + ".")

    def size(self, split: str) -> SetSize:
        """Of "train", "val" or "test"."""
        sizes: dict[str, SetSize] = {"train": self.train, "val": self.val, "test": self.test}
        return sizes[split]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        sizes = {name: str(self.size(name)) for name in ("train", "val", "test")}
        return {**asdict(self), **sizes, "overrides": list(self.overrides)}


def claim(folder: Path, experiment: str, settings: Settings) -> None:
    """Write the settings into a new folder, or check that an earlier run's are the same.

    Raises:
        ValueError: the folder holds results of another experiment or of other settings.
    """
    check_output_folder(folder, "settings.json", holds="an experiment of `kp3d reproduce`")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.json"
    wanted = {"experiment": experiment, **settings.to_dict()}
    with exclusive_lock(folder, wait=True):
        if not path.exists():
            write_json(path, wanted)
        found = json.loads(path.read_text())
    different = [
        f"{name} is {found.get(name)} there and {value} now"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    if different:
        raise ValueError(
            f"{folder} holds results of other settings: " + "; ".join(different) + ". "
            "Choose another --output, or the settings of that run to continue it."
        )


def write_json(path: Path, content: Any) -> None:
    """Write readable JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")
