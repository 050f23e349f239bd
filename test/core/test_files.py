"""What is written takes the place of the old when it is whole; nothing else is taken away."""

import fcntl
import os
import threading

import pytest

from kp3d_core.files import (
    atomic_writer,
    check_output_file,
    check_output_folder,
    replaced_folder,
    write_text,
)


def content(folder):
    return {
        str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_a_file_is_replaced_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "figures.json"
    write_text(path, "old")
    with pytest.raises(TypeError), atomic_writer(path) as stream:
        stream.writelines([b"half", None])
    assert content(tmp_path) == {"new/figures.json": "old"}
    write_text(path, "new")
    assert content(tmp_path) == {"new/figures.json": "new"}


def test_what_a_link_points_to_is_written(tmp_path):
    target, link = tmp_path / "disk" / "car.onnx", tmp_path / "car.onnx"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_pipe_gets_the_bytes(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "figures")
    reader.join(10)
    assert got == ["figures"]
    assert pipe.is_fifo()


def test_a_folder_takes_the_place_of_another(tmp_path):
    path = tmp_path / "bag"
    path.mkdir()
    (path / "old").write_text("old")
    with replaced_folder(path) as new:
        assert new.name == "bag"
        new.mkdir()
        (new / "new").write_text("new")
        assert content(path) == {"old": "old"}
    assert content(tmp_path) == {"bag/new": "new"}
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_that_is_not_finished_replaces_nothing(tmp_path, exists):
    path = tmp_path / "bag"
    if exists:
        path.mkdir()
        (path / "old").write_text("old")

    def interrupted():
        with replaced_folder(path) as new:
            new.mkdir()
            (new / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert content(tmp_path) == ({"bag/old": "old"} if exists else {})
    assert [p.name for p in tmp_path.iterdir()] == (["bag"] if exists else [])


def test_a_folder_that_a_killed_process_set_aside_comes_back(tmp_path):
    """Killed between the two renames: the old folder is in `.bag.partial`."""
    aside = tmp_path / ".bag.partial/old"
    aside.mkdir(parents=True)
    (aside / "old").write_text("old")
    with pytest.raises(RuntimeError), replaced_folder(tmp_path / "bag"):
        raise RuntimeError
    assert content(tmp_path) == {"bag/old": "old"}


def test_two_processes_do_not_make_the_same_folder(tmp_path):
    staging = tmp_path / ".bag.partial"
    staging.mkdir()
    with (staging / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (
            pytest.raises(ValueError, match="is being written by another process"),
            replaced_folder(tmp_path / "bag"),
        ):
            pass


def test_an_input_is_no_output(tmp_path):
    model, link = tmp_path / "car.onnx", tmp_path / "link.onnx"
    model.touch()
    link.symlink_to(model)
    for output in (model, link, tmp_path / "x" / ".." / "car.onnx"):
        with pytest.raises(ValueError, match="must not be .*car.onnx, which is read"):
            check_output_file(output, tmp_path / "other", model)
    check_output_file(tmp_path / "new" / "car.onnx", model)
    assert not (tmp_path / "new").exists()  # only checked


def test_outputs_that_cannot_be_written(tmp_path):
    file, dangling = tmp_path / "file", tmp_path / "dangling"
    file.touch()
    dangling.symlink_to(tmp_path / "gone")
    with pytest.raises(ValueError, match="must be a file to write, got a folder"):
        check_output_file(tmp_path)
    with pytest.raises(ValueError, match="must be a folder, got a file"):
        check_output_folder(file)
    with pytest.raises(ValueError, match="must be a folder, got a symbolic link to .*gone"):
        check_output_folder(dangling)
    for check in (check_output_file, check_output_folder):
        with pytest.raises(ValueError, match="must lie in a folder, .*/file is a file"):
            check(file / "below" / "it")


def test_a_folder_with_something_else_is_not_taken(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match="must be empty or hold a run, but it holds thesis"):
        check_output_folder(tmp_path, "provenance.json", holds="a run")
    (tmp_path / "provenance.json").touch()
    check_output_folder(tmp_path, "provenance.json", holds="a run")
    check_output_folder(tmp_path / "new", "provenance.json", holds="a run")
    assert not (tmp_path / "new").exists()
