"""What a recipe says: one file for each category, defaults here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from kp3d_core.data.cameras import camera_by_name
from kp3d_core.data.generate import GenerateSettings
from kp3d_core.data.lights import PHOTOGRAPHS
from kp3d_core.data.objects import LIST_SUFFIXES, ObjectCategory, object_category
from kp3d_core.data.photographs import photographs_digest
from kp3d_core.evaluation.robustness.measure import RobustnessSettings
from kp3d_core.files import sha256_of
from kp3d_core.package.settings import PackageSettings
from kp3d_core.recipe.checking import check_arguments, settings_of
from kp3d_core.training.datamodule import ShardDataModule
from kp3d_core.training.finetune_settings import FinetuneSettings
from kp3d_core.training.module import KeypointModule
from kp3d_core.training.run import config_file
from kp3d_core.yaml_files import read_yaml

SPLITS = {"train": "train", "finetune": "train", "val": "val", "test": "test"}
"""Sets of a recipe, and the split that each is drawn from."""
MAX_BYTES = 1 << 20
"""Of a recipe."""


@dataclass(frozen=True)
class SetSettings:
    """One rendered set."""

    instances: int
    """Number of different objects."""
    views: int
    """Of each."""
    camera: str = "robot"
    """As in `kp3d render`."""
    light: str = "overhead"
    """As in `kp3d render`; in "photographs" objects mirror the recipe's `backgrounds`, too."""
    random_surfaces: float = 0.0
    """Share of objects with random textures and colours, in light "photographs"."""
    seed_offset: int = 0
    """Which objects of the split; offsets of two sets must differ by more than their objects."""


@dataclass(frozen=True)
class DataSettings:
    """What is rendered."""

    train: SetSettings = SetSettings(2000, 24)
    finetune: SetSettings = SetSettings(4500, 16, seed_offset=30_000)
    """Objects that the first stage has not seen."""
    val: SetSettings = SetSettings(80, 16)
    """Watched in training; covariances and int8 are calibrated on them."""
    test: SetSettings = SetSettings(100, 200, camera="paper")
    """Seen by nothing but the evaluation."""
    image_size: int = 128
    """Width and height of all views [px]."""
    meshes: str | None = None
    """List of meshes by others, relative to the recipe, see `kp3d render --meshes`: they make a
    share of the objects to train and finetune on, each time changed at random."""
    mesh_share: float = 0.35
    """That share."""
    generator: int = 1
    """Version of the generators of the other objects to train and finetune on, as in `kp3d
    render`; those of validation and test are of version 1."""


@dataclass(frozen=True)
class PhaseSettings:
    """A run of the first stage; each starts from the weights of the one before."""

    steps: int
    presets: tuple[str, ...] = ("fast",)
    """Settings to start from: names of presets or YAML files of `kp3d train`; later ones override
    earlier."""
    model: dict[str, Any] = field(default_factory=dict)
    """Of `KeypointModule`; overrides the presets."""
    data: dict[str, Any] = field(default_factory=dict)
    """Of `ShardDataModule`, but for the folders; overrides the presets."""

    def read_presets(self) -> list[Any]:
        """Content of the presets."""
        return [yaml.safe_load(config_file(name).read_text()) for name in self.presets]

    @property
    def start(self) -> str:
        """What a first phase starts from: a file is known by its content, a name by itself."""
        source = str(self.model.get("initial_weights", ""))
        return sha256_of(Path(source)) if Path(source).is_file() else source


@dataclass(frozen=True)
class Recipe:
    """How a model is made."""

    category: str
    """Of the objects: a built-in one, or the file of one that `kp3d import` wrote, relative to the
    recipe."""
    name: str | None = None
    """Of the model; the category if None."""
    data: DataSettings = field(default_factory=DataSettings)
    train: tuple[PhaseSettings, ...] = (
        PhaseSettings(17_000),
        PhaseSettings(4_000, presets=("fast", "finish")),
    )
    backgrounds: str | None = None
    """Folder of photographs, relative to the recipe, to put behind views in training, finetuning
    and packaging; made-up scenes stand in for them if None."""
    finetune: FinetuneSettings | None = field(default_factory=FinetuneSettings)
    """None leaves the stage out."""
    package: PackageSettings = field(default_factory=PackageSettings)
    robustness: RobustnessSettings | None = field(
        default_factory=lambda: RobustnessSettings(instances=10, views=4)
    )
    """What the report shows beyond the evaluation; None leaves it out."""

    def __post_init__(self) -> None:
        """Report everything that cannot be made at once."""
        problems: list[str] = []
        try:
            self.objects  # noqa: B018 - read, so that what is wrong is told now
        except ValueError as error:
            problems.append(str(error))
        for name in SPLITS:
            try:
                self._render_settings(name, self.category)
            except ValueError as error:
                problems.append(f"data.{name}: {error}")
        if self.backgrounds is not None and not Path(self.backgrounds).is_dir():
            problems.append(f"backgrounds must be a folder of photographs, got {self.backgrounds}")
        problems += _overlaps(self.data)
        if not self.train:
            problems.append("train must have a phase or more")
        for number, phase in enumerate(self.train):
            path = f"train[{number}]"
            if phase.steps < 1:
                problems.append(f"{path}.steps must be at least 1, got {phase.steps}")
            for preset in phase.presets:
                try:
                    config_file(preset)
                except ValueError as error:
                    problems.append(f"{path}.presets: {error}")
            check_arguments(KeypointModule, phase.model, f"{path}.model", problems)
            check_arguments(ShardDataModule, phase.data, f"{path}.data", problems)
        if problems:
            raise ValueError("; ".join(problems) + ".")

    @cached_property
    def objects(self) -> ObjectCategory:
        """Where the objects come from."""
        category = replace(object_category(self.category), generator=self.data.generator)
        if self.data.meshes is None:
            return category
        return category.with_meshes(Path(self.data.meshes), self.data.mesh_share)

    @property
    def backgrounds_digest(self) -> str:
        """Changes when other photographs are in the folder."""
        return "" if self.backgrounds is None else photographs_digest(self.backgrounds)

    def render_settings(self, name: str) -> GenerateSettings:
        """Of one of the sets; where its objects are fewer than wanted, each is shown once."""
        settings = self._render_settings(name, self.objects.name)
        most = self.objects.most(settings.split)
        return (
            settings if most is None else replace(settings, instances=min(settings.instances, most))
        )

    def _render_settings(self, name: str, category: str) -> GenerateSettings:
        wanted: SetSettings = getattr(self.data, name)
        return GenerateSettings(
            category=category,
            split=SPLITS[name],
            instances=wanted.instances,
            views=wanted.views,
            camera=camera_by_name(wanted.camera),
            light=wanted.light,
            random_surfaces=wanted.random_surfaces,
            reflections=(self.backgrounds or "") if wanted.light == PHOTOGRAPHS else "",
            image_size=self.data.image_size,
            seed_offset=wanted.seed_offset,
        )


def _overlaps(data: DataSettings) -> list[str]:
    """Whether finetuning would see objects of the training, on which a network errs too little."""
    first, second = data.train, data.finetune
    if (first.seed_offset == 0) != (second.seed_offset == 0):
        return []
    ends = (s.seed_offset + s.instances for s in (first, second))
    if max(first.seed_offset, second.seed_offset) >= min(ends):
        return []
    return ["data.finetune must hold other objects than data.train, got some of the same. Change "
            "data.finetune.seed_offset"]  # fmt: skip


def _resolve(content: object, name: str, folder: Path) -> None:
    """Make a path absolute that is meant relative to a folder; what is no path stays."""
    if isinstance(content, dict) and isinstance(content.get(name), str):
        content[name] = str(folder / content[name])


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        ValueError: no such file, no YAML, unknown keys or impossible values: all in one message.
    """
    try:
        content = read_yaml(path, MAX_BYTES)
    except ValueError as error:
        raise ValueError(f"RECIPE must be a YAML file, got {path}: {error}.") from error
    if isinstance(content, dict):
        if str(content.get("category")).endswith(LIST_SUFFIXES):
            _resolve(content, "category", path.parent)
        _resolve(content, "backgrounds", path.parent)
        _resolve(content.get("data"), "meshes", path.parent)
    problems: list[str] = []
    recipe = settings_of(Recipe, content, "", problems)
    if problems:
        raise ValueError(
            f"{path} cannot be used: " + "; ".join(p.rstrip(".") for p in problems) + "."
        )
    assert isinstance(recipe, Recipe)
    return recipe
