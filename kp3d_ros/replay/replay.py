"""A bag through the pipeline of the node, into another bag."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys.store import Typestore

from kp3d_ros.replay.topics import Topics, choose_topics
from kp3d_ros.settings import Settings

_TF, _TF_STATIC = "/tf", "/tf_static"
_NEVER = QosTime(2147483647, 4294967295)
_LATCHED = Qos(
    QosHistory.KEEP_LAST,
    10,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    _NEVER,
    _NEVER,
    QosLiveliness.AUTOMATIC,
    _NEVER,
    False,
)


@dataclass
class Progress:
    """How far a replay is."""

    images: int = 0
    """Images read so far."""
    total: int = 0
    """Images in the bag."""
    found: int = 0
    """Objects found in them, all images together."""
    problems: dict[str, int] | None = None
    """What was wrong with images, and how often."""


def replay(
    source: Path,
    target: Path,
    settings: Settings,
    wanted: Topics,
    store: Typestore,
    *,
    node: str = "/detector",
    with_input: bool = False,
) -> Iterator[Progress]:
    """Write a bag with what the node would publish; yields after each image.

    Args:
        source: folder of a rosbag2 bag (sqlite3 or mcap).
        target: folder to make; of the same kind.
        settings: of the node.
        wanted: names of topics; what is empty is found by its type.
        store: the installed stand-ins.
        node: name of the node that the results are published by.
        with_input: copy what is in the bag, too.

    Raises:
        ValueError: the bag has not the topics, or a model cannot be used.
    """
    # Only now: these import message classes, of which the stand-ins must have taken the place.
    from kp3d_ros.categories import create_categories
    from kp3d_ros.outputs import LAYOUT_TOPIC, TF_TOPIC, TOPICS, answer_messages, layouts
    from kp3d_ros.pipeline import Pipeline
    from kp3d_ros.tf_buffer import TfBuffer

    categories = create_categories(settings)
    with Reader(source) as reader:
        types = {connection.topic: connection.msgtype for connection in reader.connections}
        topics = choose_topics(types, wanted)
        buffer = TfBuffer(cache_s=math.inf)
        _read_transforms(reader, store, buffer)
        pipeline = Pipeline(categories, settings, buffer.lookup)
        total = sum(c.msgcount for c in reader.connections if c.topic == topics.image)
        progress = Progress(total=total, problems={})
        published = {*TOPICS, TF_TOPIC} - {"~/overlay"}
        plugin = StoragePlugin.MCAP if _is_mcap(source) else StoragePlugin.SQLITE3
        with Writer(target, version=9, storage_plugin=plugin) as writer:
            sink = _Sink(writer, store, node)
            copied = sink.copy_of(reader) if with_input else {}
            for connection, time_ns, raw in reader.messages():
                if connection.id in copied:
                    writer.write(copied[connection.id], time_ns, raw)
                if connection.topic not in vars(topics).values():
                    continue
                message = store.deserialize_cdr(raw, connection.msgtype)
                if connection.topic == topics.camera_info:
                    pipeline.calibrations.put(message)
                elif connection.topic == topics.detections:
                    pipeline.inbox.put_detections(message)
                elif connection.topic == topics.depth:
                    pipeline.inbox.put_depth(message)
                else:
                    if not progress.images:
                        for layout in layouts(categories, message.header.stamp):
                            sink.write(LAYOUT_TOPIC, time_ns, layout, latched=True)
                    progress.images += 1
                    try:
                        answer = pipeline.process(message)
                    except ValueError as error:
                        answer = None
                        _count(progress, str(error))
                    if answer is not None:
                        outputs = answer_messages(answer, settings, published, pipeline.remembers)
                        for topic, output in outputs:
                            sink.write(topic, time_ns, output)
                        progress.found += len(answer.objects)
                        for problem in answer.problems:
                            _count(progress, problem)
                    yield progress


class _Sink:
    """Topics of the bag that is written."""

    def __init__(self, writer: Writer, store: Typestore, node: str) -> None:
        self._writer, self._store, self._node = writer, store, node
        self._connections: dict[str, Any] = {}

    def copy_of(self, reader: Reader) -> dict[int, Any]:
        """A connection for each one of another bag, by its id."""
        copies = {}
        for source in reader.connections:
            copy = self._writer.add_connection(
                source.topic,
                source.msgtype,
                msgdef=source.msgdef.data or None,
                rihs01=source.digest or None,
                typestore=self._store,
                serialization_format=source.ext.serialization_format,  # type: ignore[union-attr]
                offered_qos_profiles=source.ext.offered_qos_profiles,  # type: ignore[union-attr]
            )
            copies[source.id] = copy
            self._connections.setdefault(source.topic, copy)
        return copies

    def write(self, topic: str, time_ns: int, message: Any, *, latched: bool = False) -> None:
        name = topic.replace("~", self._node, 1)
        if name not in self._connections:
            self._connections[name] = self._writer.add_connection(
                name,
                message.__msgtype__,
                typestore=self._store,
                offered_qos_profiles=[_LATCHED] if latched else [],
            )
        data = self._store.serialize_cdr(message, message.__msgtype__)
        self._writer.write(self._connections[name], time_ns, data)


def _read_transforms(reader: Reader, store: Typestore, buffer: Any) -> None:
    """All transforms of the bag, so that no image has to wait for those of its time."""
    connections = [c for c in reader.connections if c.topic in (_TF, _TF_STATIC)]
    if not connections:
        return
    for connection, _, raw in reader.messages(connections=connections):
        message = store.deserialize_cdr(raw, connection.msgtype)
        buffer.add(message, static=connection.topic == _TF_STATIC)


def _is_mcap(source: Path) -> bool:
    return any(source.glob("*.mcap"))


def _count(progress: Progress, problem: str) -> None:
    assert progress.problems is not None
    progress.problems[problem] = progress.problems.get(problem, 0) + 1
