"""Model cards: what a model file reaches, where it fails and how it was made, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from kp3d_core.evaluation.robustness.summary import robustness_summary
from kp3d_core.files import write_text
from kp3d_core.inference import Model, load_model

_PICTURES = ("instances", "views", "failures", "histogram")
_PICTURE_WIDTH = 960
_INTRODUCTION = """\
Written by `kp3d card`; the figures are those in the metadata of the files. Relative rotation
between random pairs of views of unseen objects, without noise, with the predicted flag, through
ONNX Runtime (Suwajanakorn et al. 2018, section 4.1). `absolute`: rotation of a single view, from
the category's mean keypoints. `3D-SE`: how far a keypoint strays on its object. `extent`: how
far the keypoints reach along each object axis, as a share of the category's named landmarks.
`semantics`: RMS distance of a keypoint on an unseen object from where the object's landmarks tell
it to be. 3D-SE and semantics in model units: the longest dimension of an object is 2. `int8`: what
runs on CPUs with instructions for it, where it costs less than 0.1 deg of median. All figures are
explained in [docs/evaluation.md](docs/evaluation.md)."""


@dataclass(frozen=True)
class Evaluated:
    """A model and the folder of an evaluation of it."""

    model: Model
    folder: Path

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Figures kept in the model file."""
        return self.model.metrics


def read_evaluation(folder: Path) -> Evaluated:
    """The model that an evaluation folder is about; its file must hold the same figures.

    Raises:
        ValueError: no evaluation, or of another version of the model.
    """
    file = folder / "metrics.json"
    if not file.is_file():
        raise ValueError(f"EVALUATION must be a folder made by `kp3d evaluate`, got {folder}.")
    metrics = json.loads(file.read_text())
    model = load_model(metrics["model"]["file"])
    if model.metrics.get("rotation_deg") != metrics["rotation_deg"]:
        raise ValueError(
            f"{folder} must be the evaluation whose figures are kept in the model file "
            f"{model.name}, got others. Export with `--metrics {file}`, or evaluate again."
        )
    return Evaluated(model, folder)


def read_robustness(folder: Path, models: Sequence[Model]) -> tuple[str, dict[str, Any]]:
    """Which model a folder of `kp3d robustness` is about, and what was measured.

    Raises:
        ValueError: no such folder, or about none of the model files.
    """
    file = folder / "robustness.json"
    if not file.is_file():
        raise ValueError(f"--robustness must be a folder made by `kp3d robustness`, got {folder}.")
    result = json.loads(file.read_text())
    for model in models:
        if model.sha256 == result["model"]["sha256"]:
            return model.name, result
    names, found = ", ".join(model.name for model in models), result["model"]
    raise ValueError(
        f"{folder} must be about one of the files of {names}, got {found['name']} with SHA-256 "
        f"{found['sha256'][:16]}. Measure again."
    )


def write_cards(
    folders: Sequence[Path], output: Path, pictures: Path, robustness: Sequence[Path] = ()
) -> None:
    """Write one Markdown page about several models, and the pictures that it shows.

    Args:
        folders: made by `kp3d evaluate`.
        output: Markdown file.
        pictures: folder for the pictures, best below that of `output`: links are relative.
        robustness: made by `kp3d robustness`, of some of the models.

    Raises:
        ValueError: a folder is not about its model's file.
    """
    evaluated = [read_evaluation(folder) for folder in folders]
    models = [item.model for item in evaluated]
    beyond = dict(read_robustness(folder, models) for folder in robustness)
    pictures.mkdir(parents=True, exist_ok=True)
    sections = [_overview(evaluated)]
    for item in evaluated:
        links = _copy_pictures(item, pictures, output.parent)
        sections.append(_card(item, links, beyond.get(item.model.name)))
    write_text(output, "\n".join(sections))


def _copy_pictures(item: Evaluated, pictures: Path, base: Path) -> dict[str, str]:
    links = {}
    for name in _PICTURES:
        image = cv2.imread(str(item.folder / f"{name}.png"))
        if image is None:
            raise ValueError(f"{item.folder} lacks {name}.png. Evaluate again.")
        height, width = image.shape[:2]
        if width > _PICTURE_WIDTH:
            size = (_PICTURE_WIDTH, round(height * _PICTURE_WIDTH / width))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        path = pictures / f"{item.model.name}_{name}.jpg"
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 88])
        links[name] = path.resolve().relative_to(base.resolve()).as_posix()
    return links


def _overview(evaluated: Sequence[Evaluated]) -> str:
    rows = []
    for item in evaluated:
        rows.append(_overview_row(item.model))
        if item.model.int8 is not None and item.model.int8.metrics:
            rows.append(_overview_row(item.model.int8))
    header = (
        "model",
        "input",
        "mean [deg]",
        "median [deg]",
        "flags [%]",
        "absolute, median [deg]",
        "3D-SE",
        "extent x / y / z",
        "semantics",
    )
    return "\n".join(
        [
            "# Shipped models",
            "",
            _INTRODUCTION,
            "",
            *_table(header, rows),
            "",
        ]
    )


def _overview_row(model: Model) -> tuple[str, ...]:
    metrics = model.metrics
    return (
        model.name if model.precision == "fp32" else f"{model.name}, {model.precision}",
        f"{model.input_size} px",
        f"{metrics['rotation_deg']['mean']:.2f}",
        f"{metrics['rotation_deg']['median']:.2f}",
        f"{100 * metrics['flag_accuracy']:.2f}",
        f"{metrics['absolute_rotation_deg']['median']:.2f}",
        f"{metrics['spread_3d']:.3f}",
        " / ".join(f"{metrics['extent_share'][axis]:.2f}" for axis in "xyz"),
        f"{metrics['semantics']['rms']:.3f}",
    )


def _card(item: Evaluated, links: Mapping[str, str], beyond: Mapping[str, Any] | None) -> str:
    metrics, name = item.metrics, item.model.name
    data = metrics["data"]
    kinds = sorted(metrics["by_kind"].items(), key=lambda entry: -entry[1]["mean"])
    kind_rows = [
        (
            kind,
            str(figures["instances"]),
            f"{figures['mean']:.1f}",
            f"{figures['median']:.1f}",
            f"{100 * figures['flag_accuracy']:.1f}",
        )
        for kind, figures in kinds
    ]
    return "\n".join(
        [
            f"## {name}",
            "",
            f"![{name}: keypoints on many objects]({links['instances']})",
            "",
            f"One column per object; {metrics['instances']} objects, {metrics['pairs']} pairs of",
            f"views (`{data['first']}` to `{data['last']}`). Single objects over views:",
            "",
            f"![{name}: keypoints over views]({links['views']})",
            f"![{name}: distribution of errors]({links['histogram']})",
            "",
            "**Where it fails.** By kind of object, worst first, and the views with the largest",
            "errors, at most one of each object:",
            "",
            *_table(("kind", "objects", "mean [deg]", "median [deg]", "flags [%]"), kind_rows),
            "",
            f"![{name}: worst views]({links['failures']})",
            "",
            *(robustness_summary(beyond) if beyond else ()),
            *_with_depth(item.model),
            "**How it was made.** " + _origin(item.model),
            "",
        ]
    )


def _with_depth(model: Model) -> list[str]:
    """What `kp3d calibrate-depth` measured, if it was run."""
    if model.surface is None or not model.surface.measured:
        return []
    measured = model.surface.measured
    after, before = measured["with"], measured["without"]
    return [
        f"**With a depth image** the translation is off by {after['median_percent']:.2f} % of the "
        f"distance in the median and {after['p90_percent']:.1f} % at the 90th percentile "
        f"({before['median_percent']:.2f} and {before['p90_percent']:.1f} % before `kp3d "
        f"calibrate-depth`): {measured['views']} views of unseen objects over black, 4 to 12 model "
        "units away, before nothing, a floor or a wall, with noise of 0.3 % in depths.",
        "",
    ]


def _origin(model: Model) -> str:
    origin = model.provenance
    config, data = origin["config"], origin["data"]
    views = data["objects_per_batch"] * data["views_per_object"]
    last = _stage(origin.get("steps"), views, data["input_size"])
    earlier = origin.get("earlier_stages", [])
    stages = [_stage(s["steps"], s["views_per_step"], s["input_size"]) for s in earlier]
    if not earlier and config.get("initial_weights"):
        imagenet = config["initial_weights"] == "imagenet"
        stages = ["a trunk trained on ImageNet" if imagenet else "a start from trained weights"]
    return (
        f"{', then '.join([*stages, last])}; network `{config['network']}` of width "
        f"{config.get('width', 1.0):g}{_refinement(origin.get('refinement'))}"
        f"{'; the last stage trained both together' if 'polish' in config else ''}. "
        f"Exported {origin['created'][:10]} from commit `{origin['commit'][:10]}` with torch "
        f"{origin['torch']}. The whole configuration of the last stage is in the file's metadata. "
        f"SHA-256 `{model.sha256[:16]}`."
    )


def _refinement(fitted: dict[str, Any] | None) -> str:
    """What the refiner was fitted to, if there is one."""
    if not fitted:
        return ""
    sets = " and ".join(
        f"{views['views']} views of each of {views['objects']:,} other objects"
        for views in fitted["views"]
    )
    return f"; refiner fitted to {sets}, {fitted['steps']:,} steps"


def _stage(steps: int | None, views: int, input_size: int) -> str:
    return f"{'steps' if steps is None else f'{steps:,} steps'} of {views} views at {input_size} px"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
