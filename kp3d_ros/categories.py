"""What the node looks for: a model for each category of objects."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from kp3d_core.inference import (
    CameraModel,
    Detector,
    DetectorSettings,
    Model,
    ObjectTracker,
    TimedEngine,
    create_engine,
    load_model,
)
from kp3d_ros.headers import plain_frame
from kp3d_ros.settings import Settings


@dataclass(eq=False)
class Category:
    """One kind of object, and what follows those in sight."""

    class_id: str
    """Class of detections that belong to it; empty: all."""
    name: str
    """Name of its objects, in TF and elsewhere."""
    detector: Detector
    tracker: ObjectTracker

    engine: TimedEngine
    """Of the detector; categories of one model share it."""

    @property
    def model(self) -> Model:
        """Its model."""
        return self.detector.model

    def frame(self, number: int) -> str:
        """TF frame of an object: with one object at a time always the same.

        Args:
            number: counts the objects found.
        """
        return self.name if self.tracker.max_objects == 1 else self.instance_id(number)

    def instance_id(self, number: int) -> str:
        """Name of one object, never used for another one."""
        return f"{self.name}_{number}"


def create_categories(settings: Settings) -> list[Category]:
    """Load all models, start their engines and warm them up.

    Raises:
        ValueError: a model or an engine cannot be used, or an entry of `models` is wrong.
    """
    loaded: dict[str, tuple[Model, TimedEngine]] = {}
    categories = []
    for class_id, path, size_m, name in _entries(settings):
        if path not in loaded:
            model = load_model(path)
            engine = create_engine(
                model,
                settings.engine,
                device=settings.device,
                precision=settings.precision,
                threads=settings.threads or None,
            )
            loaded[path] = model, TimedEngine(engine)
        model, engine = loaded[path]
        detector = Detector(
            model,
            engine,
            object_size_m=size_m or None,
            object_size_std_m=settings.object_size_std if size_m else 0.0,
            settings=detector_settings(settings),
        )
        _warm_up(detector)
        name = plain_frame(name) or model.category
        if not detector.metric and not settings.use_depth:
            name = f"{name}_up_to_scale"
        tracker = ObjectTracker(
            detector, max_objects=settings.max_objects, lost_timeout_s=settings.lost_timeout
        )
        categories.append(Category(class_id, name, detector, tracker, engine))
    return categories


def update_categories(categories: list[Category], settings: Settings) -> None:
    """Let changed settings count."""
    for category in categories:
        category.detector.settings = detector_settings(settings)
        category.tracker.lost_timeout_s = settings.lost_timeout
        if not any(settings.models):
            category.class_id = settings.detection_class


def detector_settings(settings: Settings) -> DetectorSettings:
    """The part of the settings that the core knows."""
    return dataclasses.replace(DetectorSettings(), max_wrong=settings.max_wrong)


def _entries(settings: Settings) -> list[tuple[str, str, float, str]]:
    """Class of detections, model, size [m] and name of each category."""
    texts = [text for text in settings.models if text]
    if not texts:
        only = (settings.detection_class, settings.model, settings.object_size)
        return [(*only, settings.object_name)]
    entries: list[tuple[str, str, float, str]] = []
    problems = []
    for text in texts:
        class_id, equals, target = text.partition("=")
        path, at, size = target.rpartition("@")
        path = path if at else target
        size_m = _number(size) if at else 0.0
        if not (class_id and equals and path) or not 0 <= size_m < math.inf:
            problems.append(
                f"Parameter 'models' must hold CLASS=MODEL or CLASS=MODEL@SIZE with SIZE in "
                f"metres, got '{text}'. For example car=car@4.5."
            )
        if any(class_id == entry[0] for entry in entries):
            problems.append(
                f"Parameter 'models' must name each class once, got '{class_id}' twice. Two "
                "categories of objects need two classes."
            )
        entries.append((class_id, path, size_m, class_id))
    if problems:
        raise ValueError(" ".join(problems))
    return entries


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _warm_up(detector: Detector) -> None:
    """Look at a black image, so that the first real one does not wait for lazy imports."""
    K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    detector.detect(np.zeros((480, 640, 3), np.uint8), CameraModel(K, 640, 480))
