"""A bag through the pipeline of the node, into another bag."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rosbags.rosbag2 import Writer
from rosbags.typesys.store import Typestore

from kp3d_core.files import replaced_folder
from kp3d_core.inference import Detection, Model
from kp3d_ros.headers import stamp_nanoseconds
from kp3d_ros.patience import WAIT_S
from kp3d_ros.refusals import advice, certainty, describe
from kp3d_ros.replay.bags import Bag, Topic
from kp3d_ros.replay.decoding import decode
from kp3d_ros.replay.sink import Sink
from kp3d_ros.replay.topics import Topics, choose_topics, full_node_name
from kp3d_ros.settings import Settings

Message = tuple[Topic, int, bytes]
"""Topic, time of the recording [ns] and bytes."""


@dataclass
class Progress:
    """How far a replay is."""

    total: int
    """Images in the bag."""
    images: int = 0
    """Images read so far."""
    found: int = 0
    """Objects found in them, all images together."""
    unanswered: dict[str, list[int]] = field(default_factory=dict)
    """Why images got no answer, with their times in the recording [ns]."""
    problems: dict[str, int] = field(default_factory=dict)
    """What was wrong with answers or with other messages, and how often."""
    notes: list[str] = field(default_factory=list)
    """What else is to be told."""

    @property
    def answered(self) -> int:
        """Images that got an answer, objects in it or not."""
        return self.images - sum(map(len, self.unanswered.values()))

    def count(self, problem: str) -> None:
        """One more of a problem."""
        self.problems[problem] = self.problems.get(problem, 0) + 1


class Replay:
    """The node's pipeline over a recording."""

    def __init__(self, bag: Bag, settings: Settings, wanted: Topics, store: Typestore) -> None:
        """Check topics and model, and read ahead what images would have to wait for.

        Args:
            bag: to read.
            settings: of the node.
            wanted: names of topics; what is empty is found by its type.
            store: the installed stand-ins.

        Raises:
            ValueError: the bag has not the topics, or a model cannot be used.
        """
        # Only now: these import message classes, of which the stand-ins must have taken the place.
        from kp3d_ros.categories import create_categories
        from kp3d_ros.pipeline import Pipeline
        from kp3d_ros.replay.calibrations import RecordedCalibrations
        from kp3d_ros.replay.transforms import RecordedTransforms

        self._bag, self._settings, self._store = bag, settings, store
        self._topics = choose_topics(bag.types, wanted)
        self.progress = Progress(sum(t.count for t in bag.topics if t.name == self._topics.image))
        if not self.progress.total:
            raise ValueError(f"Topic {self._topics.image} must hold images, {bag.path} holds none.")
        self._calibrations = RecordedCalibrations(bag, self._topics.camera_info, store)
        self._transforms = RecordedTransforms(bag, store)
        self._best: tuple[Detection, Model] | None = None
        """Of all that was refused what is most likely an object."""
        self._ignored = ""
        """Why detections were of no use, the last time."""
        for name, count in (
            (self._topics.camera_info, self._calibrations.unreadable),
            ("/tf and /tf_static", self._transforms.unreadable),
        ):
            if count:
                self.progress.problems[f"a message on {name} could not be decoded"] = count
        self._pipeline = Pipeline(
            create_categories(settings),
            settings,
            self._transforms.lookup,
            self._calibrations.calibrations,
        )

    def write(
        self, output: Path, *, node: str = "/detector", with_input: bool = False
    ) -> Iterator[Progress]:
        """Write a bag with what the node would publish; yields after each image.

        The bag takes its name, and the place of an earlier one, when it is whole.

        Args:
            output: folder to make.
            node: name of the node that the results are published by.
            with_input: copy what is in the bag, too.

        Raises:
            ValueError: the bag is damaged, no image got an answer, or the name is none.
        """
        node = full_node_name(node)
        with (
            replaced_folder(output) as folder,
            Writer(folder, version=9, storage_plugin=self._bag.plugin) as writer,
        ):
            sink = Sink(writer, self._store, node)
            if with_input:
                self.progress.notes += sink.prepare_copies(self._bag)
            names = () if with_input else set(filter(None, vars(self._topics).values()))
            for topic, time_ns, raw in self._depth_first(self._bag.messages(names)):
                sink.copy(topic, time_ns, raw)
                if topic.name == self._topics.image:
                    self._answer(topic.kind, time_ns, raw, sink)
                    yield self.progress
                elif topic.name != self._topics.depth:
                    self._hand_over(topic.name, topic.kind, raw)
            self._check_end()

    def _depth_first(self, messages: Iterable[Message]) -> Iterator[Message]:
        """The messages, each after the depth images that a node would have waited for."""
        held: deque[Message] = deque()
        for message in messages:
            topic, time_ns, raw = message
            while held and time_ns - held[0][1] > WAIT_S * 1e9:
                yield held.popleft()
            if topic.name == self._topics.depth:
                self._hand_over(topic.name, topic.kind, raw)
            held.append(message)
        yield from held

    def _check_end(self) -> None:
        progress = self.progress
        for name, count in self._bag.missing.items():
            progress.notes.append(
                f"{count} messages on {name} that {self._bag.path} should hold by its own account "
                "cannot be read: its files are damaged, or its metadata are another bag's."
            )
        if progress.answered and not progress.found:
            progress.notes += self._why_nothing_is_found()
        if not progress.answered:
            reasons = [f"{len(times)} x {text}" for text, times in progress.unanswered.items()]
            raise ValueError(f"No image got an answer: {' '.join(reasons or progress.notes)}")

    def _why_nothing_is_found(self) -> Iterator[str]:
        """What the node would have told of the objects it looked for."""
        if self._ignored:
            yield self._ignored
        if self._best is not None:
            detection, model = self._best
            yield f"{describe(detection, model)} {advice(detection, model, self._settings)}"
        elif self._settings.detections_required:
            yield (
                "'detections_required' is set, and no image had a detection that can be used: "
                "nothing was looked at."
            )

    def _hand_over(self, name: str, kind: str, raw: bytes) -> None:
        """Give the pipeline a message that belongs to images."""
        topics, inbox = self._topics, self._pipeline.inbox
        if name == topics.camera_info:
            self._calibrations.put(raw)
        elif name in (topics.detections, topics.depth):
            put = inbox.put_detections if name == topics.detections else self._pipeline.depths.put
            try:
                put(decode(self._store, raw, kind))
            except ValueError as error:
                self.progress.count(f"{name}: {error}")

    def _answer(self, kind: str, time_ns: int, raw: bytes, sink: Sink) -> None:
        """Write what the node would publish about an image."""
        from kp3d_ros.outputs import LAYOUT_TOPIC, TF_TOPIC, TOPICS, answer_messages, layouts

        progress, pipeline = self.progress, self._pipeline
        progress.images += 1
        try:
            image = decode(self._store, raw, kind)
            self._calibrations.put_that_of(image)
            self._transforms.image_comes(time_ns, stamp_nanoseconds(image.header.stamp))
            answer = pipeline.process(image)
        except ValueError as error:
            progress.unanswered.setdefault(str(error), []).append(time_ns)
            return
        if progress.answered == 1:
            for layout in layouts(pipeline.categories, image.header.stamp):
                sink.write(LAYOUT_TOPIC, time_ns, layout, latched=True)
        published = {*TOPICS, TF_TOPIC} - {"~/overlay"}
        for topic, output in answer_messages(answer, self._settings, published, pipeline.remembers):
            sink.write(topic, time_ns, output)
        progress.found += len(answer.objects)
        self._ignored = answer.ignored or self._ignored
        for model, detection in answer.refused:
            if self._best is None or certainty(detection) > certainty(self._best[0]):
                self._best = detection, model
        for problem in answer.problems:
            progress.count(problem)
