"""Recordings of all kinds are read; outputs that would take anything else away are refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

rosbag2 = pytest.importorskip("rosbags.rosbag2", reason="needs rosbags: make train-env")
from rosbags.typesys import Stores, get_typestore  # noqa: E402

from kp3d_core.files import replaced_folder  # noqa: E402
from kp3d_ros.replay.bags import check_output, full_type, open_bag  # noqa: E402
from kp3d_ros.replay.sink import Sink  # noqa: E402

PLUGINS = ["SQLITE3", "MCAP"]
DEFINITION, DIGEST = "uint8[] weights\n", f"RIHS01_{64 * 'a'}"


def write(path: Path, plugin: str, times: Any, topic: str = "/load", **known: str) -> Path:
    """A bag with one message for each time; returns its file."""
    known = {"msgdef": DEFINITION, "rihs01": DIGEST, **known}
    with rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin[plugin]) as writer:
        connection = writer.add_connection(topic, "their_msgs/msg/Load", **known)
        for time_ns in times:
            writer.write(connection, time_ns, b"\0\1\0\0%d" % time_ns)
    (file,) = (file for file in path.iterdir() if file.suffix in (".db3", ".mcap"))
    return file


def read(path: Path) -> list[tuple[str, int, bytes]]:
    with open_bag(path) as bag:
        return [(topic.name, time_ns, bytes(raw)) for topic, time_ns, raw in bag.messages()]


def expected(times: Any) -> list[tuple[str, int, bytes]]:
    return [("/load", time_ns, b"\0\1\0\0%d" % time_ns) for time_ns in times]


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_folder_without_metadata_is_read(tmp_path: Path, plugin: str) -> None:
    """Two files whose times overlap, as of a recording that was split."""
    folder = tmp_path / "split"
    folder.mkdir()
    for name, times in (("part_2", (1, 3)), ("part_10", (2, 4))):
        file = write(tmp_path / name, plugin, times)
        file.rename(folder / file.name)
        assert read(folder / file.name) == expected(times)
    assert read(folder) == expected((1, 2, 3, 4))
    with open_bag(folder) as bag:
        assert bag.plugin == rosbag2.StoragePlugin[plugin]
        assert bag.types == {"/load": "their_msgs/msg/Load"}
        assert bag.topics[0].count == 4


def test_what_is_no_bag_is_told(tmp_path: Path) -> None:
    def complaint(path: Path) -> str:
        with pytest.raises(ValueError) as error, open_bag(path):  # noqa: PT011
            pass
        return str(error.value)

    assert "it does not exist" in complaint(tmp_path / "gone")
    assert "no metadata.yaml, no .mcap and no .db3." in complaint(tmp_path)
    (tmp_path / "a.db3.zstd").touch()
    assert "but a.db3.zstd: unpack with zstd -d" in complaint(tmp_path)
    (tmp_path / "ros1.bag").touch()
    assert "got one of ROS 1. Convert it: rosbags-convert" in complaint(tmp_path / "ros1.bag")
    (tmp_path / "film.mp4").touch()
    assert "must be the folder of a rosbag2 bag" in complaint(tmp_path / "film.mp4")
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag/metadata.yaml").write_text("version: 1")
    assert "metadata.yaml must be that of a rosbag2 bag" in complaint(tmp_path / "bag")
    for suffix in (".mcap", ".db3"):
        broken = tmp_path / f"broken{suffix}"
        broken.write_bytes(b"not at all")
        assert "must be a rosbag2 bag" in complaint(broken)
        assert "ros2 bag reindex" in complaint(broken)


def test_a_recorder_that_was_killed_leaves_no_message_out_in_silence(tmp_path: Path) -> None:
    file = write(tmp_path / "bag", "SQLITE3", [1])
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES (1, 2, X'00')")
    connection.commit()
    try:
        with pytest.raises(ValueError, match="lacks messages that are still in bag.db3-wal"):
            open_bag(tmp_path / "bag")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # as the sentence says
    finally:
        connection.close()
    assert [time_ns for _, time_ns, _ in read(tmp_path / "bag")] == [1, 2]


@pytest.mark.parametrize("plugin", PLUGINS)
def test_damage_is_told(tmp_path: Path, plugin: str) -> None:
    file = write(tmp_path / "bag", plugin, range(1, 20_000))
    content = bytearray(file.read_bytes())
    content[len(content) // 4 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 4)
    file.write_bytes(content)
    if plugin == "SQLITE3":
        with pytest.raises(
            ValueError, match="bag (is damaged|must be a rosbag2 bag): .*malformed. If .*reindex"
        ):
            read(tmp_path / "bag")
        return
    with open_bag(tmp_path / "bag") as bag:  # chunks without a checksum: what is left is read
        messages = list(bag.messages())
        assert 0 < len(messages) < 19_999
        assert bag.missing == {"/load": 19_999 - len(messages)}


def test_types_of_crystal_have_their_folder() -> None:
    assert full_type("sensor_msgs/Image") == "sensor_msgs/msg/Image"
    assert full_type("sensor_msgs/msg/Image") == "sensor_msgs/msg/Image"


def test_only_a_bag_is_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "in", "MCAP", [1])
    write(tmp_path / "out", "SQLITE3", [1])
    (tmp_path / "home").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "home/thesis.tex").touch()
    (tmp_path / "dangling").symlink_to("gone")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/in.mcap").symlink_to(tmp_path / "in/in.mcap")
    with open_bag(tmp_path / "in") as bag:
        for name in ("new", "new/below", "empty", "out"):
            check_output(tmp_path / name, bag, overwrite=True)
        refused = {
            "home": "replaces nothing but a bag, .*home holds no metadata.yaml",
            "in": "must be another folder than the recording",
            "../" + tmp_path.name + "/in": "must be another folder than the recording",
            "": "must be another folder than the recording",
            "in/new": "must not lie in the recording",
            "dangling": "got a symbolic link to gone",
            "home/thesis.tex": "must be a folder, got a file",
        }
        for name, message in refused.items():
            with pytest.raises(ValueError, match=message):
                check_output(tmp_path / name, bag, overwrite=True)
        with pytest.raises(ValueError, match="must not exist yet. Choose another, or add --overw"):
            check_output(tmp_path / "out", bag, overwrite=False)
        (tmp_path / "out/notes.txt").touch()
        with pytest.raises(ValueError, match="out holds notes.txt, too. Choose another output"):
            check_output(tmp_path / "out", bag, overwrite=True)
        (tmp_path / "home/metadata.yaml").write_text("title: thesis")
        with pytest.raises(ValueError, match="holds a metadata.yaml of something else"):
            check_output(tmp_path / "home", bag, overwrite=True)
    with (
        open_bag(tmp_path / "linked") as bag,
        pytest.raises(ValueError, match="must be another folder than the recording"),
    ):
        check_output(tmp_path / "in", bag, overwrite=True)  # where the bytes are


@pytest.mark.parametrize("plugin", PLUGINS)
def test_copies_keep_bytes_and_definitions(tmp_path: Path, plugin: str) -> None:
    write(tmp_path / "in", plugin, [1, 2])
    write(tmp_path / "anew", plugin, [1], "/detector/load")
    unknown = {"msgdef": "", "rihs01": DIGEST}
    write(tmp_path / "bare", plugin, [1, 2], **unknown)
    told = {"in": "", "anew": "Not copied, because it is written anew: /detector/load", "bare":
            "Copied without the definition"}  # fmt: skip
    for name, message in told.items():
        output = tmp_path / f"{name}_copy"
        with (
            open_bag(tmp_path / name) as bag,
            replaced_folder(output) as folder,
            rosbag2.Writer(folder, version=9, storage_plugin=bag.plugin) as writer,
        ):
            sink = Sink(writer, get_typestore(Stores.ROS2_HUMBLE), "/detector")
            notes = sink.prepare_copies(bag)
            assert message in " ".join(notes)
            assert bool(notes) == bool(message)
            for topic, time_ns, raw in bag.messages():
                sink.copy(topic, time_ns, raw)
        if name != "anew":
            assert read(output) == expected([1, 2])
    with open_bag(tmp_path / "in_copy") as bag:
        assert bag.topics[0].source.msgdef.data == DEFINITION
    assert sorted(file.suffix for file in (tmp_path / "in_copy").iterdir()) == [
        {"SQLITE3": ".db3", "MCAP": ".mcap"}[plugin],
        ".yaml",
    ]
