"""Recordings of rosbag2: what is in them, and which folders are one."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, StoragePlugin

from kp3d_core.files import check_output_folder

_METADATA = "metadata.yaml"
_PLUGINS = {".mcap": StoragePlugin.MCAP, ".db3": StoragePlugin.SQLITE3}
_MENDING = (
    "If it was not closed when it was recorded, repair it first: `ros2 bag reindex FOLDER` for "
    "sqlite3, `mcap recover FILE` for mcap."
)


@dataclass(frozen=True)
class Topic:
    """What a recording holds of one topic; one of several where it has messages of two types."""

    name: str
    kind: str
    """Type of its messages, as ROS 2 writes it since Dashing."""
    count: int
    """Messages."""
    source: Connection
    """The first connection with it: its definition, its digest."""
    qos: list[Any]
    """Profiles that were offered by all publishers."""


@dataclass
class Bag:
    """A recording that is open for reading."""

    path: Path
    files: list[Path]
    """Where the messages are."""
    plugin: StoragePlugin
    topics: list[Topic] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    """Messages of each topic that should be there and could not be read, after reading them."""
    _readers: list[Reader] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Bag:
        """Nothing: it is open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its files."""
        self._stack.close()

    @property
    def types(self) -> dict[str, str]:
        """Type of each topic."""
        return {topic.name: topic.kind for topic in self.topics}

    def messages(self, names: Collection[str] = ()) -> Iterator[tuple[Topic, int, bytes]]:
        """Topic, time of the recording [ns] and bytes of each message, in the order of time.

        Args:
            names: of topics; all if there are none.

        Raises:
            ValueError: the recording is damaged.
        """
        by_key = {(topic.name, topic.kind): topic for topic in self.topics}
        missing = {t.name: 0 for t in self.topics if not names or t.name in names}
        for topic in self.topics:
            if topic.name in missing:
                missing[topic.name] += topic.count
        streams = []
        for reader in self._readers:
            wanted = [c for c in reader.connections if not names or c.topic in names]
            if wanted:
                streams.append(reader.messages(connections=wanted))
        merged = heapq.merge(*streams, key=lambda message: message[1])
        while True:
            try:
                message = next(merged, None)
            except Exception as error:  # each storage library has errors of its own
                raise ValueError(_told(f"{self.path} is damaged", error)) from error
            if message is None:
                break
            connection, time_ns, raw = message
            missing[connection.topic] -= 1
            yield by_key[connection.topic, full_type(connection.msgtype)], time_ns, raw
        self.missing |= {name: count for name, count in missing.items() if count > 0}


def full_type(name: str) -> str:
    """Type of a message with the folder that ROS 2 Crystal left out: sensor_msgs/msg/Image."""
    package, _, rest = name.partition("/")
    return name if "/" in rest else f"{package}/msg/{rest}"


def open_bag(path: Path) -> Bag:
    """Open a folder of rosbag2, with or without its metadata, or one of its files.

    Raises:
        ValueError: it is none, or damaged.
    """
    if not path.exists():
        raise ValueError(f"{path} must be a rosbag2 bag, and it does not exist.")
    files, sources = _files(path)
    for file in files:
        log = file.with_name(f"{file.name}-wal")
        if log.exists() and log.stat().st_size:
            raise ValueError(
                f"{file} lacks messages that are still in {log.name}: the recorder was killed. Run "
                f"sqlite3 {file} 'PRAGMA wal_checkpoint(TRUNCATE)' first."
            )
    bag = Bag(path, files, _PLUGINS[_suffix(files[0])])
    try:
        for source in sources:
            bag._readers.append(bag._stack.enter_context(Reader(source)))
        bag.topics = _topics(bag._readers)
    except Exception as error:  # each storage library has errors of its own
        bag._stack.close()
        raise ValueError(_told(f"{path} must be a rosbag2 bag", error)) from error
    return bag


def check_output(output: Path, bag: Bag, *, overwrite: bool) -> None:
    """Refuse an output whose making would take anything away but a bag that is to be replaced.

    Raises:
        ValueError: it is a link, the recording or part of it, or another thing than a bag.
    """
    if output.is_symlink():
        raise ValueError(
            f"{output} must be a folder to make, got a symbolic link to {output.readlink()}. Name "
            "the folder itself, or choose another one."
        )
    place = output.resolve()
    for part in (bag.path, *bag.files):
        if place == part.resolve() or place in part.resolve().parents:
            raise ValueError(
                f"{output} must be another folder than the recording {bag.path}, which would be "
                "lost. Choose another output."
            )
    if bag.path.resolve() in place.parents:
        raise ValueError(
            f"{output} must not lie in the recording {bag.path}. Choose another output."
        )
    check_output_folder(output)
    if not output.exists():
        return
    if not overwrite:
        raise ValueError(f"{output} must not exist yet. Choose another, or add --overwrite.")
    foreign = _foreign(output)
    if foreign:
        raise ValueError(
            f"--overwrite replaces nothing but a bag, {output} {foreign}. Choose another output."
        )


def _files(path: Path) -> tuple[list[Path], list[Path]]:
    """Files with messages, and what to open to read them."""
    if path.is_file():
        if path.suffix == ".bag":
            raise ValueError(
                f"{path} must be a rosbag2 bag, got one of ROS 1. Convert it: rosbags-convert "
                f"--src {path} --dst {path.stem}"
            )
        if path.suffix not in _PLUGINS:
            raise ValueError(
                f"{path} must be the folder of a rosbag2 bag, or a file .mcap or .db3 of one."
            )
        return [path], [path]
    if (path / _METADATA).exists():
        files = [path / name for name in _listed(path)]
        unreadable = sorted({_suffix(file) for file in files} - _PLUGINS.keys())
        if unreadable or not files:
            raise ValueError(
                f"{path / _METADATA} must list files .mcap or .db3, it lists "
                f"{', '.join(file.name for file in files) or 'none'}. {_MENDING}"
            )
        return files, [path]
    found = {
        suffix: sorted(path.glob(f"*{suffix}"), key=lambda file: (len(file.name), file.name))
        for suffix in _PLUGINS
    }
    files = found[".mcap"] or found[".db3"]
    if not files:
        packed = ", ".join(sorted(file.name for file in path.glob("*.zstd")))
        raise ValueError(
            f"{path} must be a rosbag2 bag: it holds no {_METADATA}, no .mcap and no .db3"
            + (f", but {packed}: unpack with zstd -d --rm." if packed else ".")
        )
    return files, files


def _suffix(file: Path) -> str:
    """Kind of a file, also of one that is compressed as a whole."""
    return Path(file.stem).suffix if file.suffix == ".zstd" else file.suffix


def _listed(folder: Path) -> list[str]:
    """Names of the files with messages, by the metadata of a bag.

    Raises:
        ValueError: the metadata are not those of a bag.
    """
    try:
        content = yaml.safe_load((folder / _METADATA).read_text())
        paths = content["rosbag2_bagfile_information"]["relative_file_paths"]
        return [Path(path).name for path in paths]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / _METADATA} must be that of a rosbag2 bag, and it cannot be read as one "
            f"({type(error).__name__}: {error}). {_MENDING}"
        ) from error


def _foreign(folder: Path) -> str:
    """What a folder holds beside a bag; empty if nothing."""
    names = {path.name for path in folder.iterdir()}
    if names and _METADATA not in names:
        return f"holds no {_METADATA}"
    try:
        listed = _listed(folder) if names else []
    except ValueError:
        return f"holds a {_METADATA} of something else"
    others = sorted(names - {_METADATA, *listed})
    return f"holds {', '.join(others[:3])}, too" if others else ""


def _topics(readers: list[Reader]) -> list[Topic]:
    connections: dict[tuple[str, str], list[Connection]] = {}
    for reader in readers:
        for connection in reader.connections:
            key = connection.topic, full_type(connection.msgtype)
            connections.setdefault(key, []).append(connection)
    topics = []
    for (name, kind), same in connections.items():
        source = next((c for c in same if c.msgdef.data), same[0])
        qos = [profile for c in same for profile in c.ext.offered_qos_profiles]
        topics.append(Topic(name, kind, sum(c.msgcount for c in same), source, qos))
    return topics


def _told(what: str, error: Exception) -> str:
    return f"{what}: {str(error).rstrip('.') or type(error).__name__}. {_MENDING}"
