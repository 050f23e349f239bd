"""What is measured when a model file is made, and on which data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kp3d_core.inference import load_model
from kp3d_core.package.names import is_place
from kp3d_core.package.surface_fit import SurfaceSettings


@dataclass(frozen=True)
class PackageSettings:
    """What is measured, and on how much."""

    version: str = "1"
    """Of the model."""
    mirror: bool = True
    """Look at the mirror image, too: fewer errors, twice the keypoints; a refiner needs it."""
    objects: int = 400
    """Most objects of a rendered set that are read."""
    backgrounds: float = 0.5
    """Share of the held-out views before pictures, through a camera with faults; covariances and
    int8 are calibrated on them and the rest together."""
    encounters: int = 800
    """Boxes in pictures, with and without an object, that acceptance is fitted to; on half as many
    others it is measured."""
    depth: bool = True
    """Fit the depth correction, for which objects are rendered with depth; left out where it is
    not known where they come from."""
    surface: SurfaceSettings = field(default_factory=SurfaceSettings)
    """How it is fitted."""
    int8: bool = True
    """Write the int8 file, too."""
    int8_objects: int = 20
    """Objects that int8 is calibrated on."""
    pairs: int = 100
    """Pairs of views of each test object in the evaluation."""
    names: str | None = None
    """Shipped name or path of an earlier model; its keypoints' names are kept where places
    agree."""
    keypoints: dict[str, Any] = field(default_factory=dict)
    """Names of places in the object frame, such as `handle: [0.9, 0, 0.1]` [model units]: given to
    the keypoints that are nearest, and before those of `names`."""

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = [
            f"{name} must be at least 1, got {getattr(self, name)}"
            for name in ("objects", "encounters", "int8_objects", "pairs")
            if getattr(self, name) < 1
        ]
        if not 0 <= self.backgrounds <= 1:
            problems.append(f"backgrounds must be in [0, 1], got {self.backgrounds}")
        problems += [
            f"keypoints.{name} must be three numbers x, y, z [model units], got {place!r:.60}"
            for name, place in self.keypoints.items()
            if not is_place(place)
        ]
        if problems:
            raise ValueError("Settings of package are wrong: " + "; ".join(problems) + ".")

    def earlier_keypoints(self) -> dict[str, list[float]]:
        """Names that are known already, with their places.

        Raises:
            ValueError: the model of `names` cannot be read.
        """
        own = {name: [float(x) for x in place] for name, place in self.keypoints.items()}
        if self.names is None:
            return own
        known = load_model(self.names).keypoints
        return dict(zip(known.names, known.canonical.tolist(), strict=True)) | own


@dataclass(frozen=True)
class PackageData:
    """Rendered folders of the model's category."""

    train: Path
    """Canonical keypoints are means over these objects."""
    val: tuple[Path, ...]
    """Covariances and int8 are calibrated on these, unseen in training."""
    test: Path
    """The model is evaluated on these, seen by nothing before."""
    backgrounds: Path | None = None
    """Folder of photographs without such objects, before which acceptance and covariances are
    calibrated, and measured; procedural pictures if None."""
