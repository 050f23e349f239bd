"""What an experiment is run with."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

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
    overrides: tuple[str, ...] = ()
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
        size: SetSize = getattr(self, split)
        return size

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        sizes = {name: str(self.size(name)) for name in ("train", "val", "test")}
        return {**asdict(self), **sizes, "overrides": list(self.overrides)}
