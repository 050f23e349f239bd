"""One look of the detector at one scene, compared with the truth, and many of them summarised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.metrics import draw_pairs, relative_rotation_deg
from kp3d_core.evaluation.robustness.scenes import Scene
from kp3d_core.geometry.symmetry import has_front, rotation_error
from kp3d_core.inference import Detection, Detector, DetectorSettings, Engine, Model

FloatArray = NDArray[np.float64]


class RecordingEngine:
    """An engine that keeps its last outputs: a detection does not contain the orientation flag."""

    def __init__(self, engine: Engine) -> None:
        """Run `engine`."""
        self._engine = engine
        self.name, self.device = engine.name, engine.device
        self.precision = engine.precision
        self.outputs: dict[str, NDArray[np.float32]] = {}

    def run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Outputs of the wrapped engine."""
        self.outputs = self._engine.run(images)
        return self.outputs


@dataclass(frozen=True, eq=False)
class Trial:
    """What the detector said about one scene."""

    keypoints_camera: FloatArray
    """(N, 3) [model units, the size being known]."""
    keypoints_uv: FloatArray
    """(N, 2) [px of the scene's image]."""
    T_camera_object: FloatArray
    """The truth, (4, 4)."""
    absolute_deg: float
    """Error of the absolute pose's rotation."""
    translation_percent: float
    """Error of the absolute pose's translation [% of the true distance]."""
    flag_correct: bool
    """Whether front and back were told apart."""
    accepted: bool
    """Whether the detector says that the result may be used."""
    symmetry: str = "none"
    """Of the object about z; no error above counts a turn that it hides."""


class Examiner:
    """A detector of objects of known size, and what it takes to judge its answers."""

    def __init__(
        self, model: Model, engine: Engine, settings: DetectorSettings | None = None
    ) -> None:
        """Set up the detector that a robot would run, with its settings or the defaults."""
        self._recorder = RecordingEngine(engine)
        # The object's longest dimension is 2 model units: with this size one metre is one unit.
        self._detector = Detector(model, self._recorder, object_size_m=2.0, settings=settings)

    def examine(self, scene: Scene, background: str) -> Trial:
        """Detect the object in its region before a background, and compare with the truth."""
        placement = scene.placement
        detection = self._detector.detect(
            scene.images[background],
            scene.camera,
            scene.region,
            down_camera=placement.down_camera,
        )
        T, symmetry = placement.T_camera_object, self._detector.model.symmetry
        offset = detection.T_camera_object[:3, 3] - T[:3, 3]
        return Trial(
            keypoints_camera=detection.keypoints_camera,
            keypoints_uv=detection.keypoints_uv,
            T_camera_object=T,
            absolute_deg=_angle_deg(detection.T_camera_object, T, symmetry),
            translation_percent=float(100 * np.linalg.norm(offset) / np.linalg.norm(T[:3, 3])),
            flag_correct=not has_front(symmetry)
            or self._says_front_right() == _is_front_right(detection, T),
            accepted=detection.accepted,
            symmetry=symmetry,
        )

    def _says_front_right(self) -> bool:
        front, back = self._recorder.outputs["orientation_uv"][-1, :, 0]
        return bool(front > back)


@dataclass(frozen=True)
class TrialSummary:
    """Figures over V views of each of I objects, refused detections included."""

    relative_mean_deg: float
    """Rotation between two views of an object by Procrustes of the keypoints, against the truth."""
    relative_median_deg: float
    absolute_mean_deg: float
    """Rotation of the pose from the category's mean keypoints."""
    absolute_median_deg: float
    translation_median_percent: float
    """Median error of the translation, in % of the distance, the object's size being known."""
    translation_p90_percent: float
    flag_accuracy: float
    """Share of views in which front and back are told apart."""
    accepted: float
    """Share of views that the detector accepts."""
    absolute_median_deg_accepted: float | None
    """Median over the accepted views only: what a robot gets. None if there is none."""
    views: int


def summarize_trials(trials: Sequence[Sequence[Trial]], seed: int) -> TrialSummary:
    """Figures of trials: one sequence per object, all of equal length >= 2.

    Args:
        trials: views of each object under one condition.
        seed: of the choice of pairs; as many pairs as views.
    """
    relative = np.concatenate([_relative_deg(row, seed + k) for k, row in enumerate(trials)])
    flat = [trial for row in trials for trial in row]
    absolute = np.array([trial.absolute_deg for trial in flat])
    translation = np.array([trial.translation_percent for trial in flat])
    accepted = np.array([trial.accepted for trial in flat])
    return TrialSummary(
        relative_mean_deg=float(relative.mean()),
        relative_median_deg=float(np.median(relative)),
        absolute_mean_deg=float(absolute.mean()),
        absolute_median_deg=float(np.median(absolute)),
        translation_median_percent=float(np.median(translation)),
        translation_p90_percent=float(np.percentile(translation, 90)),
        flag_accuracy=float(np.mean([trial.flag_correct for trial in flat])),
        accepted=float(accepted.mean()),
        absolute_median_deg_accepted=(
            float(np.median(absolute[accepted])) if accepted.any() else None
        ),
        views=len(flat),
    )


def _relative_deg(row: Sequence[Trial], seed: int) -> FloatArray:
    pairs = draw_pairs(len(row), len(row), np.random.default_rng(seed))
    X = np.stack([trial.keypoints_camera for trial in row])
    T = np.stack([trial.T_camera_object for trial in row])
    first, second = pairs.T
    return relative_rotation_deg(X[first], X[second], T[first], T[second], row[0].symmetry)


def _is_front_right(detection: Detection, T_camera_object: FloatArray) -> bool:
    R_crop_object = detection.crop.R_crop_camera @ T_camera_object[:3, :3]
    return bool(R_crop_object[0, 0] > 0)


def _angle_deg(T_a: FloatArray, T_b: FloatArray, symmetry: str) -> float:
    return float(np.degrees(rotation_error(T_a[:3, :3], T_b[:3, :3], symmetry)))
