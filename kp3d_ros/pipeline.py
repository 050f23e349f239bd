"""From an image message to the objects in it: everything between the topics, without a node."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference import Detection
from kp3d_ros.answer import Answer, FoundObject, is_finite
from kp3d_ros.calibrations import Calibrations
from kp3d_ros.camera_frames import CameraFrames
from kp3d_ros.categories import Category, detector_settings, update_categories
from kp3d_ros.decoding import decode
from kp3d_ros.depth_images import DepthImages
from kp3d_ros.depth_measurement import DepthScales, depth_of
from kp3d_ros.detections import Detections
from kp3d_ros.handover import Handover, Inbox
from kp3d_ros.headers import plain_frame, plain_header, stamp_nanoseconds
from kp3d_ros.image_stream import Change, ImageStream
from kp3d_ros.references import Placement, References
from kp3d_ros.settings import Settings
from kp3d_ros.tf_buffer import Lookup

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image
    from std_msgs.msg import Header

FloatArray = NDArray[np.float64]


_NO_FRAME = (
    "Header of the image must have a frame_id, got an empty one: nothing can be said on /tf. Set "
    "the frame in the settings of the camera driver."
)


@dataclass(frozen=True)
class _Told:
    """What the thread that looks tells the other one."""

    objects: int = 0
    time_constant_s: float = 0.0


class Pipeline:
    """Keeps what outlives an image: calibrations, tracks and references.

    Two threads may use it, one that hands over and one that looks. Any may call `inbox`,
    `calibrations`, `depths`, `settings`, `set_back` and `facts`; everything else belongs to the one
    that looks.
    """

    def __init__(
        self,
        categories: list[Category],
        settings: Settings,
        lookup: Lookup,
        calibrations: Calibrations | None = None,
        depths: DepthImages | None = None,
    ) -> None:
        """Start without objects.

        Args:
            categories: what to look for.
            settings: of the node.
            lookup: transforms at a time, for the gravity and fixed frames.
            calibrations: where those of the images will be; by default no image waits for its own.
            depths: the same of depth images.
        """
        self.categories = categories
        self.calibrations = Calibrations() if calibrations is None else calibrations
        self.inbox = Inbox(settings)
        """What counts from the next image on."""
        self.depths = DepthImages() if depths is None else depths
        self.references = References()
        self._applied = settings
        self._frames = CameraFrames(lookup)
        self._stream = ImageStream()
        self._detections = Detections()
        self._scales = DepthScales()
        self._told = _Told()

    def set_back(self) -> None:
        """The clock was set back; from any thread."""
        self.depths.clear()
        self.inbox.set_back()

    @property
    def settings(self) -> Settings:
        """What counts from the next image on."""
        return self.inbox.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        detector_settings(settings)  # the caller, not the next image, gets the error
        self.inbox.put_settings(settings)

    def process(self, message: Image | CompressedImage) -> Answer:
        """Find the objects in an image and their poses.

        Raises:
            Unused: there is no calibration yet, or later images came before this one.
            ValueError: the image or its calibration cannot be used.
        """
        answer = self.look(message)
        self.place(answer)
        return answer

    def look(self, message: Image | CompressedImage) -> Answer:
        """Find the objects in an image, without their motion and what depends on references.

        That much is known first: keypoints need not wait for the rest.

        Raises:
            Unused: there is no calibration yet, or later images came before this one.
            ValueError: the image or its calibration cannot be used.
        """
        settings = self.settings
        image, match = decode(message, self.calibrations, settings)
        given = self._take(settings)
        header, camera = plain_header(message.header), match.camera
        change, told = self._stream.follow(header, given.was_set_back)
        given = self._forget(change, header, given)
        anchor = plain_frame(given.settings.fixed_frame) or header.frame_id
        answer = Answer(header, self._stream.time_s, given, image, camera, anchor)
        answer.problems += [*match.problems, told] if told else match.problems
        if not header.frame_id:
            answer.problems.append(_NO_FRAME)
        if change is not Change.NOTHING:
            answer.lost += self._give_up()
        self._detections.meet(answer, [category.class_id for category in self.categories])
        down_camera = self._frames.gravity(answer)
        seen = [
            (category, number, detection)
            for category in self.categories
            for number, detection in self._look(category, answer, down_camera)
        ]
        # Only now: the depth image of the same time often comes meanwhile.
        depth_m = depth_of(answer, self.depths) if seen else None
        for _, instance_id in answer.lost:
            self._scales.forget(instance_id)
        for category, number, detection in seen:
            found = self._scales.measure(category, number, detection, depth_m, answer)
            if is_finite(found[0]):
                names = category.instance_id(number), category.frame(number)
                answer.objects.append(FoundObject(category, *names, *found))
        answer.ignored = self._detections.why_ignored(answer)
        self._tell()
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
            or answer.given.settings.filter
            or self.references.is_due(found.frame, found.detection)
        ]
        T_anchor_camera = self._frames.anchor(answer) if due else None
        for found in due:
            found.placement = self._place(found, T_anchor_camera, answer)
        self._tell()

    def _take(self, settings: Settings) -> Handover:
        """What was handed over; changed settings and wishes count from here on.

        Args:
            settings: that the image was decoded with; newer ones wait for the next.
        """
        given = replace(self.inbox.take(), settings=settings)
        if settings is not self._applied:
            update_categories(self.categories, settings)
            self._applied = settings
        if given.wants_references:
            self.references.want_all()
        return given

    def _forget(self, change: Change, header: Header, given: Handover) -> Handover:
        """Forget what a change makes untrue; what is left of what was handed over."""
        settings = given.settings
        if change is Change.NOTHING:
            return given
        self._frames.forget()
        if change is Change.CLOCK or not settings.fixed_frame:
            self.references.forget_all()
        self.references.change_camera()
        stamp_ns, frame_id = stamp_nanoseconds(header.stamp), header.frame_id

        def keeps(other: Header) -> bool:
            if change is Change.CLOCK:
                return stamp_nanoseconds(other.stamp) <= stamp_ns
            return plain_frame(other.frame_id) in ("", frame_id)

        self.inbox.keep_only(keeps)
        self.depths.keep_only(keeps)
        return given.only(keeps)

    def _give_up(self) -> list[tuple[Category, str]]:
        """Give up all objects; returns category and instance id of each."""
        lost = []
        for category in self.categories:
            for number in category.tracker.reset():
                lost.append((category, category.instance_id(number)))
                if category.tracker.max_objects > 1:
                    self.references.forget(category.frame(number))
        return lost

    def _look(
        self, category: Category, answer: Answer, down_camera: FloatArray | None
    ) -> list[tuple[int, Detection]]:
        """Number and detection of each object of a category; the answer gets what else came up."""
        places, problems = self._detections.places(answer, category.class_id)
        sightings = category.tracker.update(
            answer.image, answer.camera, answer.time_s, places, down_camera=down_camera
        )
        for number in sightings.lost:
            answer.lost.append((category, category.instance_id(number)))
            if category.tracker.max_objects > 1:
                self.references.forget(category.frame(number))
        answer.problems += problems + sightings.problems
        answer.refused += [(category.model, detection) for detection in sightings.refused]
        return sightings.found

    def _place(
        self, found: FoundObject, T_anchor_camera: FloatArray | None, answer: Answer
    ) -> Placement | None:
        """Poses of an object, where they can be told."""
        # Frames in TF are in metres, but for those whose name says that they are not.
        settings = answer.given.settings
        has_unit = found.detection.metric or not settings.use_depth
        if T_anchor_camera is None or not has_unit:
            return None
        return self.references.place(
            found.frame,
            found.detection,
            found.category.model,
            T_anchor_camera,
            answer.time_s,
            settings,
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
        told = self._told
        models = [category.model for category in self.categories]
        engines = [category.detector.engine for category in self.categories]
        facts = {
            "model": ", ".join(f"{model.name} {model.version}" for model in models),
            "engine": engines[0].name,
            "device": engines[0].device,
            "precision": ", ".join(dict.fromkeys(engine.precision for engine in engines)),
            "objects": str(told.objects),
        }
        if self.settings.filter:
            facts["filter, time constant [s]"] = f"{told.time_constant_s:.3f}"
        return facts

    def _tell(self) -> None:
        """Leave for the other thread what may be told."""
        self._told = _Told(
            sum(len(category.tracker.numbers) for category in self.categories),
            self.references.time_constant_s(),
        )

    def reset(self) -> None:
        """Forget all objects, messages and references; keep the models. Nothing may be in work."""
        for category in self.categories:
            category.tracker.reset()
        self.references = References()
        self.calibrations.clear()
        self.depths.clear()
        self.inbox.clear()
        self._frames.forget()
        self._stream = ImageStream()
        self._detections = Detections()
        self._scales = DepthScales()
        self._tell()
