"""How well a model finds objects in whole photographs, where nobody gives a box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kp3d_core.evaluation.photographs.measure import Selection, read_image
from kp3d_core.evaluation.photographs.reading import read_labelled
from kp3d_core.evaluation.photographs.truth import LabelledObject
from kp3d_core.files import write_json
from kp3d_core.inference import (
    CameraModel,
    Detection,
    Detector,
    Model,
    create_engine,
    load_model,
)
from kp3d_core.inference.confirmation import confirmed
from kp3d_core.inference.engines import Engine
from kp3d_core.inference.facts import facts_of
from kp3d_core.provenance import provenance

_MAX_FINDS = 16
"""Most objects that are looked for in one image."""
_FIT = 2.5
"""A find is larger or smaller than the box of the object that it is taken for by this much at
most; keypoints span less than the object."""


@dataclass(frozen=True)
class Searched:
    """What came of one photograph."""

    image: str
    objects: int
    """Labelled ones that are large and visible enough."""
    found: int
    """Of those."""
    false: int
    """Finds where no object of the category is labelled, however small or hidden."""


def searching_detector(model: Model, engine: Engine) -> Detector:
    """A detector that searches whatever the model file says of how well it does."""
    if model.acceptance is not None:
        model = replace(model, acceptance=replace(model.acceptance, search=None))
    return Detector(model, engine)


def evaluate_search(
    model_name_or_path: str,
    data: Path,
    output: Path,
    engine_name: str = "auto",
    precision: str | None = None,
    selection: Selection | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    device: str = "auto",
) -> dict[str, Any]:
    """Search whole photographs as the node does without boxes, and count what is found.

    Args:
        model_name_or_path: shipped name or path of a model file.
        data: labelled photographs, see `reading`.
        output: folder for search.json.
        engine_name: engine to run the model with.
        precision: to run the model in; the file's own if None.
        selection: which objects ought to be found.
        on_progress: called with the number of finished photographs and their total.
        device: to run the engine on, see `EngineOptions`.

    Returns:
        The content of search.json.

    Raises:
        ValueError: model, engine or photographs cannot be used.
    """
    model = load_model(model_name_or_path)
    engine = create_engine(model, engine_name, device=device, precision=precision)
    detector = searching_detector(model, engine)
    selection = selection or Selection()
    photographs = read_labelled(data)
    rows = []
    for number, photograph in enumerate(photographs):
        image = read_image(photograph.image)
        camera = CameraModel(photograph.K, image.shape[1], image.shape[0])
        finds = detector.search(image, camera, count=_MAX_FINDS)
        accepted = [d for d in confirmed(detector, image, camera, finds) if d.accepted]
        labelled = [o for o in photograph.objects if o.category == model.category]
        rows.append(count_finds(photograph.image.name, accepted, labelled, selection))
        on_progress(number + 1, len(photographs))
    metrics = {
        **summarize_search(rows),
        "selection": asdict(selection),
        **facts_of(model, engine),
        "photographs": [asdict(row) for row in rows],
        "provenance": provenance(),
    }
    write_json(output / "search.json", metrics)
    return metrics


def summarize_search(rows: Sequence[Searched]) -> dict[str, Any]:
    """Recall and false finds per image over at least one photograph."""
    objects, found = sum(row.objects for row in rows), sum(row.found for row in rows)
    false = sum(row.false for row in rows)
    return {
        "images": len(rows),
        "objects": objects,
        "found": found,
        "recall": found / objects if objects else None,
        "false": false,
        "false_per_image": false / len(rows),
    }


def count_finds(
    image: str, finds: Sequence[Detection], labelled: Sequence[LabelledObject], selection: Selection
) -> Searched:
    """Each find belongs to the nearest object that it lies on."""
    wanted = [o for o in labelled if selection.takes(o)]
    seen: set[int] = set()
    false = 0
    for find in finds:
        on = [(_distance(find, o), n) for n, o in enumerate(labelled) if lies_on(find, o)]
        if on:
            seen.add(min(on)[1])
        else:
            false += 1
    found = sum(any(labelled[n] is o for n in seen) for o in wanted)
    return Searched(image, len(wanted), found, false)


def lies_on(find: Detection, labelled: LabelledObject) -> bool:
    """Whether the middle of a find is in the box of an object, and its size is about the box's."""
    box, middle = labelled.region, find.keypoints_uv.mean(axis=0)
    inside = box.x <= middle[0] <= box.x + box.width and box.y <= middle[1] <= box.y + box.height
    extent = float(np.ptp(find.keypoints_uv, axis=0).max())
    return bool(inside and 1 / _FIT < extent / max(box.width, box.height) < _FIT)


def _distance(find: Detection, labelled: LabelledObject) -> float:
    box, middle = labelled.region, find.keypoints_uv.mean(axis=0)
    return float(np.hypot(*(middle - [box.x + box.width / 2, box.y + box.height / 2])))
