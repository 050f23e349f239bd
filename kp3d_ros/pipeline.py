"""From an image message to the objects in it: everything between the topics, without a node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference import CameraModel, Detection, rescale, scale_from_depth
from kp3d_ros.camera_info_conversion import Calibrations
from kp3d_ros.categories import Category, update_categories
from kp3d_ros.compressed_conversion import compressed_to_rgb
from kp3d_ros.depth_conversion import depth_to_metres
from kp3d_ros.image_conversion import image_to_rgb
from kp3d_ros.references import Placement, References
from kp3d_ros.regions import places_for, stamp_nanoseconds, stamp_seconds
from kp3d_ros.settings import Settings
from kp3d_ros.tf_buffer import Lookup

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image
    from std_msgs.msg import Header
    from vision_msgs.msg import Detection2DArray

FloatArray = NDArray[np.float64]


@dataclass(eq=False)
class FoundObject:
    """One object in one image, with everything that is published about it."""

    category: Category
    instance_id: str
    frame: str
    """Its TF frame."""
    detection: Detection
    from_depth: bool
    """Whether the scale was measured in a depth image."""
    placement: Placement | None = None
    """None before `Pipeline.place`; and if the fixed frame is not known at the time of the image,
    or a scale that a depth image should have told."""


@dataclass(eq=False)
class Answer:
    """What one image showed."""

    header: Header
    image: NDArray[np.uint8]
    camera: CameraModel
    anchor_frame: str
    """Frame in which references stand: that of the camera, or the fixed frame."""
    objects: list[FoundObject] = field(default_factory=list)
    lost: list[tuple[Category, str]] = field(default_factory=list)
    """Category and instance id of each object that is given up now."""
    refused: list[str] = field(default_factory=list)
    """Why detections were not accepted."""
    problems: list[str] = field(default_factory=list)
    """What kept the answer from being as good as it could be."""


class Pipeline:
    """Keeps what outlives an image: calibration, detections, tracks and references."""

    def __init__(self, categories: list[Category], settings: Settings, lookup: Lookup) -> None:
        """Start without objects.

        Args:
            categories: what to look for.
            settings: of the node.
            lookup: transforms at a time, for the gravity and fixed frames.
        """
        self.categories = categories
        self.calibrations = Calibrations()
        self.detections: Detection2DArray | None = None
        """The newest ones."""
        self.references = References()
        self._settings = settings
        self._lookup = lookup
        self._depths: list[Image] = []
        self._down_camera: FloatArray | None = None
        self._last_s = 0.0

    @property
    def settings(self) -> Settings:
        """What counts for the next image."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        update_categories(self.categories, settings)
        self._settings = settings

    def put_depth(self, message: Image) -> None:
        """Take in a depth image; the last few are kept until an image asks for one."""
        self._depths = [*self._depths[-4:], message]

    def process(self, message: Image | CompressedImage) -> Answer | None:
        """Find the objects in an image and their poses; None while there is no calibration.

        Raises:
            ValueError: the image or its calibration cannot be used.
        """
        answer = self.look(message)
        if answer is not None:
            self.place(answer)
        return answer

    def look(self, message: Image | CompressedImage) -> Answer | None:
        """Find the objects in an image, without their motion and what depends on references.

        That much is known first: keypoints need not wait for the rest.

        Raises:
            ValueError: the image or its calibration cannot be used.
        """
        decoded = self._decode(message)
        if decoded is None:
            return None
        image, camera = decoded
        anchor = self._settings.fixed_frame or message.header.frame_id
        answer = Answer(message.header, image, camera, anchor)
        if self.calibrations.mismatch:
            answer.problems.append(self.calibrations.mismatch)
        down_camera = self._gravity(answer)
        depth_m = self._depth(answer)
        for category in self.categories:
            for number, detection in self._look(category, answer, down_camera):
                detection, from_depth = _measure(category, detection, depth_m, camera)
                if is_finite(detection):
                    answer.objects.append(
                        FoundObject(
                            category,
                            category.instance_id(number),
                            category.frame(number),
                            detection,
                            from_depth,
                        )
                    )
        self._last_s = stamp_seconds(message.header.stamp)
        return answer

    def place(self, answer: Answer, *, is_asked: bool = True) -> None:
        """Tell the poses of the objects in an answer; once, in the order of the images.

        Args:
            answer: of `look`.
            is_asked: whether anybody wants to know. If not, only what later images depend on is
                worked out: references that are missing, and filters.
        """
        due = [
            found
            for found in answer.objects
            if is_asked
            or self._settings.filter
            or self.references.is_due(found.frame, found.detection)
        ]
        T_anchor_camera = self._anchor(answer) if due else None
        for found in due:
            found.placement = self._place(found, T_anchor_camera, answer)

    def _decode(
        self, message: Image | CompressedImage
    ) -> tuple[NDArray[np.uint8], CameraModel] | None:
        """Pixels and calibration of an image; None while there is no calibration."""
        rectified = self._settings.rectified
        if not hasattr(message, "encoding"):  # compressed: its size is not known before
            image = compressed_to_rgb(message)
            height, width = image.shape[:2]
            camera = self.calibrations.camera_for(width, height, rectified=rectified)
            return None if camera is None else (image, camera)
        width, height = int(message.width), int(message.height)
        camera = self.calibrations.camera_for(width, height, rectified=rectified)
        return None if camera is None else (image_to_rgb(message), camera)

    def _look(
        self, category: Category, answer: Answer, down_camera: FloatArray | None
    ) -> list[tuple[int, Detection]]:
        """Number and detection of each object of a category; the answer gets what else came up."""
        header, time_s = answer.header, stamp_seconds(answer.header.stamp)
        places, problems = places_for(
            self.detections, header.stamp, category.class_id, self._settings
        )
        sightings = category.tracker.update(
            answer.image, answer.camera, time_s, places, down_camera=down_camera
        )
        for number in sightings.lost:
            answer.lost.append((category, category.instance_id(number)))
            if category.tracker.max_objects > 1 or time_s < self._last_s:
                self.references.forget(category.frame(number))
        answer.problems += problems
        answer.refused += ["; ".join(d.problems) for d in sightings.refused]
        return sightings.found

    def _place(
        self, found: FoundObject, T_anchor_camera: FloatArray | None, answer: Answer
    ) -> Placement | None:
        """Poses of an object, where they can be told."""
        # Frames in TF are in metres, but for those whose name says that they are not.
        has_unit = found.detection.metric or not self._settings.use_depth
        if T_anchor_camera is None or not has_unit:
            return None
        return self.references.place(
            found.frame,
            found.detection,
            found.category.model.calibration,
            T_anchor_camera,
            stamp_seconds(answer.header.stamp),
            self._settings,
        )

    @property
    def engine_s(self) -> float:
        """Time spent in engine calls so far [s]."""
        return sum(engine.busy_s for engine in {category.engine for category in self.categories})

    @property
    def remembers(self) -> bool:
        """Whether any object is in sight, or was until a moment ago."""
        return any(category.tracker.numbers for category in self.categories)

    def facts(self) -> dict[str, str]:
        """What diagnostics tell about it."""
        models = [category.model for category in self.categories]
        engines = [category.detector.engine for category in self.categories]
        facts = {
            "model": ", ".join(f"{model.name} {model.version}" for model in models),
            "engine": engines[0].name,
            "device": engines[0].device,
            "precision": ", ".join(dict.fromkeys(engine.precision for engine in engines)),
            "objects": str(sum(len(c.tracker.numbers) for c in self.categories)),
        }
        if self._settings.filter:
            facts["filter, time constant [s]"] = f"{self.references.time_constant_s():.3f}"
        return facts

    def reset(self) -> None:
        """Forget all objects, images and references; keep the models."""
        for category in self.categories:
            category.tracker.reset()
        self.references = References()
        self.calibrations = Calibrations()
        self.detections = None
        self._depths = []

    def _depth(self, answer: Answer) -> NDArray[np.float32] | None:
        """The depth image of the image's time, if there is one."""
        if not self._settings.use_depth:
            return None
        time_s = stamp_seconds(answer.header.stamp)
        ages = [(abs(stamp_seconds(d.header.stamp) - time_s), d) for d in list(self._depths)]
        age, message = min(ages, key=lambda pair: pair[0], default=(np.inf, None))
        if message is None or age > self._settings.depth_max_age:
            answer.problems.append(
                f"No depth image within {self._settings.depth_max_age:g} s of the image: the scale "
                "is that of 'object_size'. Check the topic 'depth', or raise 'depth_max_age'."
            )
            return None
        try:
            return depth_to_metres(message)
        except ValueError as error:
            answer.problems.append(str(error))
            return None

    def _anchor(self, answer: Answer) -> FloatArray | None:
        """Camera in the frame of the references; None if that is not known at the image's time."""
        if not self._settings.fixed_frame:
            return np.eye(4)
        return self._transform(self._settings.fixed_frame, answer)

    def _gravity(self, answer: Answer) -> FloatArray | None:
        """Direction of gravity in the camera frame; None stands for the image's y axis."""
        if self._settings.gravity_frame:
            T = self._transform(self._settings.gravity_frame, answer)
            if T is not None:
                self._down_camera = -T[2, :3]  # (0, 0, -1) of that frame in the camera's
            if self._down_camera is not None:
                return self._down_camera
        gravity = np.array(self._settings.gravity, np.float64)
        return gravity if gravity.any() else None

    def _transform(self, target: str, answer: Answer) -> FloatArray | None:
        header = answer.header
        try:
            return self._lookup(target, header.frame_id, stamp_nanoseconds(header.stamp))
        except ValueError as error:
            answer.problems.append(str(error))
            return None


def _measure(
    category: Category,
    detection: Detection,
    depth_m: NDArray[np.float32] | None,
    camera: CameraModel,
) -> tuple[Detection, bool]:
    """The detection with the scale of the depth image, if that tells one, and whether it does."""
    if depth_m is None:
        return detection, False
    size_wh = (camera.width, camera.height)
    scale = scale_from_depth(detection, depth_m, size_wh, category.model.surface)
    if scale is None:
        return detection, False
    return rescale(detection, category.model, scale), True


def is_finite(detection: Detection) -> bool:
    """Whether everything that is published about a detection is a number."""
    values: tuple[Any, ...] = (
        detection.keypoints_camera,
        detection.keypoints_uv,
        detection.own_covariance,
        detection.common_errors,
        detection.T_camera_object,
        detection.pose_covariance,
        detection.score,
    )
    return all(np.isfinite(value).all() for value in values)
