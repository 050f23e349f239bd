"""The trained network out of a checkpoint, whatever else the run was made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from kp3d_core.files import sha256_of
from kp3d_core.models import ForeignOrientation, KeypointModel, WithoutFlag
from kp3d_core.models.refiner import Refiner
from kp3d_core.training.checkpoint_files import read_checkpoint, restored
from kp3d_core.training.networks import build_network, network_settings
from kp3d_core.training.weight_files import SUFFIX, read_weights, write_weights

ORIENTATION_KEY = "orientation_settings"
"""Where a checkpoint keeps the settings of its pretrained orientation network."""
STAGES_KEY = "earlier_stages"
"""Where a checkpoint keeps what was trained before its own run."""
REFINER_KEY = "refiner"
"""Where a checkpoint keeps its refiner, if it has one."""
_KEPT_DATA = ("objects_per_batch", "views_per_object", "input_size")
"""Settings of the data that a file of weights keeps."""
_PREFIX = "model."
"""What Lightning puts before the names of the network's weights."""


class Stage(TypedDict):
    """A run that another one started from."""

    steps: int
    views_per_step: int
    input_size: int
    """[px]"""
    checkpoint_sha256: str


@dataclass(frozen=True)
class TrainedNetwork:
    """A network in evaluation mode, and the settings it was trained with."""

    model: KeypointModel
    settings: dict[str, Any]
    """Of `KeypointModule`."""
    data: dict[str, Any]
    """Of `ShardDataModule`."""
    steps: int
    """Training steps of the run."""
    earlier_stages: tuple[Stage, ...]
    """The runs whose weights it started from, oldest first."""
    sha256: str
    """Of the file."""
    refiner: Refiner | None = None
    """Corrects what the network reads; in evaluation mode."""


def load_checkpoint(path: Path) -> TrainedNetwork:
    """Read a checkpoint of `kp3d train`, or a file of `kp3d weights`.

    Only what the network is made of is taken from the settings, so that checkpoints stay readable
    when schedules and losses change.

    Raises:
        ValueError: no such file, or not a checkpoint of a keypoint network.
    """
    if not path.is_file():
        raise ValueError(
            f"CHECKPOINT must be a file made by `kp3d train`, got {path}, which does not exist."
        )
    if path.suffix == SUFFIX:
        return _from_weights(path)
    content = read_checkpoint(path)
    try:
        settings = dict(content["hyper_parameters"])
        foreign = content.get(ORIENTATION_KEY)
        weights = {
            name[len(_PREFIX) :]: value
            for name, value in content["state_dict"].items()
            if name.startswith(_PREFIX)
        }
        data = dict(content.get("datamodule_hyper_parameters", {}))
        steps, stages = int(content.get("global_step", 0)), tuple(content.get(STAGES_KEY, ()))
    except KeyError as error:
        raise ValueError(
            f"CHECKPOINT must be a file made by `kp3d train`, got {path}, which lacks {error}."
        ) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"CHECKPOINT must be a file made by `kp3d train`, got {path}: {error}."
        ) from error
    model = restored(
        lambda: build_network(settings, None if foreign is None else build_network(foreign)),
        weights,
        path,
    )
    refined = content.get(REFINER_KEY)
    return TrainedNetwork(
        model.eval(),
        settings,
        data,
        steps,
        stages,
        sha256_of(path),
        None if refined is None else _refiner(refined, path),
    )


def keep_weights(checkpoint: Path, output: Path) -> TrainedNetwork:
    """Write the weights of a checkpoint alone.

    Raises:
        ValueError: no checkpoint, or one of several networks or with a refiner: there is more to
            it than weights.
    """
    if output.suffix != SUFFIX:
        raise ValueError(f"output must end in {SUFFIX}, got {output}. Rename it.")
    trained = load_checkpoint(checkpoint)
    if isinstance(trained.model, ForeignOrientation | WithoutFlag) or trained.refiner is not None:
        raise ValueError(
            f"CHECKPOINT must hold one plain network, got {checkpoint} with more. Keep the "
            "checkpoint itself."
        )
    write_weights(
        output,
        trained.model.state_dict(),
        network_settings(trained.settings),
        data={name: trained.data[name] for name in _KEPT_DATA if name in trained.data},
        steps=trained.steps,
        earlier_stages=trained.earlier_stages,
    )
    return trained


def _from_weights(path: Path) -> TrainedNetwork:
    weights, told = read_weights(path)
    try:
        settings, data = dict(told["settings"]), dict(told["data"])
        steps, stages = int(told["steps"]), tuple(told["earlier_stages"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} must tell settings, data, steps and earlier_stages, got {error!r}. Restore it."
        ) from error
    model = restored(lambda: build_network(settings), weights, path)
    return TrainedNetwork(model.eval(), settings, data, steps, stages, sha256_of(path))


def load_network(path: Path, purpose: str) -> TrainedNetwork:
    """Read a checkpoint for something that has to be told the orientation, such as "Finetuning".

    Raises:
        ValueError: no checkpoint, or one whose network tells no orientation.
    """
    trained = load_checkpoint(path)
    if isinstance(trained.model, WithoutFlag):
        raise ValueError(
            f"{purpose} needs a network that tells the orientation, got {path}, trained "
            "with use_flag=false. Train with use_flag=true, or give it an orientation_checkpoint."
        )
    return trained


def _refiner(content: Any, path: Path) -> Refiner:
    try:
        settings, weights = dict(content["settings"]), dict(content["state_dict"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} must hold a whole refiner, got {error!r}. Restore it.") from error
    return restored(lambda: Refiner(**settings), weights, path).eval()


def load_orientation(path: Path) -> TrainedNetwork:
    """Read a checkpoint whose network is to decide the orientation of another run.

    Raises:
        ValueError: no checkpoint, or one whose network learned no orientation itself.
    """
    trained = load_checkpoint(path)
    if not isinstance(trained.model, ForeignOrientation | WithoutFlag):
        return trained
    raise ValueError(
        f"orientation_checkpoint must be a run that trained its own orientation stage, got {path}, "
        "which did not. Train one with config/train/table1/orientation.yaml."
    )


def copy_weights(source: str, trained: TrainedNetwork, model: KeypointModel) -> None:
    """Start a network from trained weights, of the same or another category.

    Raises:
        ValueError: weights of a network of another shape.
    """
    try:
        model.load_state_dict(trained.model.state_dict())
    except RuntimeError as error:
        raise ValueError(
            f"initial_weights must come from a network of the same kind, width and number of "
            f"keypoints, got {source}: {str(error).splitlines()[-1].strip()}"
        ) from error


def stages_behind(trained: TrainedNetwork) -> tuple[Stage, ...]:
    """The runs behind one that starts from trained weights, oldest first; the last is their own."""
    data = trained.data
    own = Stage(
        steps=trained.steps,
        views_per_step=data["objects_per_batch"] * data["views_per_object"],
        input_size=data["input_size"],
        checkpoint_sha256=trained.sha256,
    )
    return (*trained.earlier_stages, own)
