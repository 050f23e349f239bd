"""The bag that a replay writes."""

from __future__ import annotations

from typing import Any

from rosbags.interfaces import (
    Connection,
    MessageDefinitionFormat,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Writer
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)
from rosbags.typesys.store import Typestore

from kp3d_ros.replay.bags import Bag, Topic

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
_NO_DIGEST = "RIHS01_" + 64 * "0"
"""Of a type whose definition is not known; the library wants one."""


class Sink:
    """Topics of the bag that is written."""

    def __init__(self, writer: Writer, store: Typestore, node: str) -> None:
        """Start without any.

        Args:
            writer: of the bag; open.
            store: definitions of what is written.
            node: name of the node that the results are published by.
        """
        self._writer, self._store, self._node = writer, store, node
        self._connections: dict[str, Connection] = {}
        self._copies: dict[tuple[str, str], Connection] = {}

    def prepare_copies(self, bag: Bag) -> list[str]:
        """Let `copy` take what is in another bag; returns what to tell about it."""
        undefined, replaced = [], []
        for topic in bag.topics:
            if topic.name.startswith(f"{self._node}/"):
                replaced.append(topic.name)
                continue
            definition, digest = self._definition(topic)
            if not definition:
                undefined.append(f"{topic.name} ({topic.kind})")
            copy = self._writer.add_connection(
                topic.name,
                topic.kind,
                msgdef=definition,
                rihs01=digest,
                offered_qos_profiles=topic.qos,
            )
            self._copies[topic.name, topic.kind] = copy
            self._connections.setdefault(topic.name, copy)
        notes = []
        if undefined:
            notes.append(
                f"Copied without the definition of its type, which the recording does not hold: "
                f"{', '.join(undefined)}. Programs that read it need the package of that type."
            )
        if replaced:
            notes.append(
                f"Not copied, because it is written anew: {', '.join(replaced)}. Rename the node "
                "with --node to keep both."
            )
        return notes

    def copy(self, topic: Topic, time_ns: int, raw: bytes) -> None:
        """Write a message of the other bag as it is."""
        connection = self._copies.get((topic.name, topic.kind))
        if connection is not None:
            self._writer.write(connection, time_ns, raw)

    def write(self, topic: str, time_ns: int, message: Any, *, latched: bool = False) -> None:
        """Write a result; `~` in the topic's name stands for the node's."""
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

    def _definition(self, topic: Topic) -> tuple[str, str]:
        """Definition of a type and its digest; the definition is empty if nobody knows it."""
        source, kind = topic.source, topic.kind
        if source.msgdef.data:
            return source.msgdef.data, source.digest or _digest(source, kind)
        if kind in self._store.fielddefs:
            definition, _ = self._store.generate_msgdef(kind, ros_version=2)
            return definition, self._store.hash_rihs01(kind)
        return "", source.digest or _NO_DIGEST


def _digest(source: Connection, kind: str) -> str:
    """That of a definition, which files of mcap do not hold."""
    text, store = source.msgdef.data, get_typestore(Stores.EMPTY)
    is_idl = source.msgdef.format == MessageDefinitionFormat.IDL
    try:
        store.register(get_types_from_idl(text) if is_idl else get_types_from_msg(text, kind))
        return store.hash_rihs01(kind)
    except (TypesysError, KeyError):  # of a definition that this library cannot read
        return _NO_DIGEST
