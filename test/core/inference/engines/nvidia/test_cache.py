"""Built engines are never half-trusted: whatever differs or is damaged is built again."""

from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys
import textwrap

import pytest

from kp3d_core.inference.engines.nvidia.cache import EngineCache, EngineKey, default_folder

KEY = EngineKey(
    model_sha256="ab" * 32,
    precision="fp16",
    batches=(1, 4),
    part="both",
    library="tensorrt",
    version="10.3.0",
    target="Orin, sm_87",
)


class Builds:
    """Counts builds; engines are their bytes, and those that start with 'bad' do not load."""

    def __init__(self, plan: bytes = b"plan\nwith a line") -> None:
        self.plan = plan
        self.timings: list[bytes] = []

    def build(self, timing: bytes) -> tuple[bytes, bytes]:
        self.timings.append(timing)
        return self.plan, timing + b"t"

    @staticmethod
    def load(plan: bytes) -> bytes | None:
        return None if plan.startswith(b"bad") else plan


def get(folder, key=KEY, builds=None):
    builds = builds or Builds()
    engine = EngineCache(folder).get(key, Builds.load, builds.build)
    return engine, len(builds.timings)


def test_built_once_then_read(tmp_path):
    folder = tmp_path / "not" / "there"
    assert get(folder) == (b"plan\nwith a line", 1)
    assert get(folder) == (b"plan\nwith a line", 0)


@pytest.mark.parametrize(
    "other",
    [
        {"model_sha256": "cd" * 32},
        {"precision": "int8"},
        {"batches": (1,)},
        {"part": "orientation"},
        {"library": "tensorrt_rtx"},
        {"version": "10.3.1"},
        {"target": "Orin Nano, sm_87"},
        {"build_version": 0},
    ],
)
def test_everything_an_engine_depends_on_is_in_the_key(tmp_path, other):
    get(tmp_path)
    assert get(tmp_path, dataclasses.replace(KEY, **other))[1] == 1
    assert get(tmp_path)[1] == 0  # both are kept


def test_every_flipped_byte_and_every_cut_is_noticed(tmp_path, caplog):
    get(tmp_path)
    path = tmp_path / KEY.file_name()
    whole = path.read_bytes()
    damaged = [whole[:i] for i in range(0, len(whole), 7)]
    damaged += [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))]
    damaged += [whole + b"x", b"", b"\0" * len(whole)]
    for content in damaged:
        path.write_bytes(content)
        assert get(tmp_path) == (b"plan\nwith a line", 1)
        assert path.read_bytes() == whole
    assert "is damaged or of another machine and is built again" in caplog.text


def test_file_of_another_key_under_this_name_is_not_used(tmp_path):
    foreign = dataclasses.replace(KEY, target="Thor, sm_110")
    get(tmp_path, foreign, Builds(b"foreign"))
    (tmp_path / foreign.file_name()).rename(tmp_path / KEY.file_name())
    assert get(tmp_path) == (b"plan\nwith a line", 1)


def test_engine_that_tensorrt_refuses_is_built_again(tmp_path, caplog):
    get(tmp_path)
    taken = []

    def refuse_once(plan: bytes) -> bytes | None:
        taken.append(plan)
        return None if len(taken) <= 2 else plan  # before and after the lock is taken

    builds = Builds(b"new")
    assert EngineCache(tmp_path).get(KEY, refuse_once, builds.build) == b"new"
    assert "TensorRT refuses" in caplog.text


def test_engine_that_does_not_load_after_its_build_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="could not load the engine that it just built. Check"):
        get(tmp_path, KEY, Builds(b"bad"))
    assert not (tmp_path / KEY.file_name()).exists()


def test_timings_are_kept_for_the_next_build_on_the_same_gpu(tmp_path):
    builds = Builds()
    get(tmp_path, KEY, builds)
    get(tmp_path, dataclasses.replace(KEY, precision="int8"), builds)
    get(tmp_path, dataclasses.replace(KEY, target="Thor, sm_110"), builds)
    assert builds.timings == [b"", b"t", b""]


def test_what_cannot_be_built_is_not_tried_at_each_start(tmp_path):
    """Only the reason stays, until it is asked for again, deleted, or something else is built."""
    tries = []

    def fail(timing: bytes) -> tuple[bytes, bytes]:
        tries.append(1)
        raise ValueError("TensorRT could not build it: no memory.")

    cache = EngineCache(tmp_path)
    for again in (False, False, True):
        with pytest.raises(ValueError, match="TensorRT could not build it: no memory\\.") as error:
            cache.get(KEY, Builds.load, fail, builds_again=again)
    assert len(tries) == 2
    failed = tmp_path / KEY.failure_file_name()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".lock", failed.name])
    with pytest.raises(ValueError, match="That was at an earlier start") as error:
        cache.get(KEY, Builds.load, fail, builds_again=False)
    assert f"delete {failed}" in str(error.value)

    other = dataclasses.replace(KEY, version="2")
    assert cache.get(other, Builds.load, Builds(b"new").build, builds_again=False) == b"new"
    assert get(tmp_path)[1] == 1  # asked for by name
    assert not failed.exists()


def test_what_does_not_load_after_its_build_is_not_built_at_each_start(tmp_path):
    builds = Builds(b"bad")
    for _ in range(2):
        with pytest.raises(ValueError, match="could not load the engine that it just built"):
            EngineCache(tmp_path).get(KEY, Builds.load, builds.build, builds_again=False)
    assert len(builds.timings) == 1


def test_folder_that_cannot_be_written_only_costs_time(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        assert get(tmp_path / "file" / "engines") == (b"plan\nwith a line", 1)
    assert "cannot be kept in" in caplog.text
    assert "XDG_CACHE_HOME" in caplog.text


def test_kernels_belong_to_the_engine_and_the_gpu(tmp_path, caplog):
    cache = EngineCache(tmp_path)
    assert cache.kernels(KEY, "RTX 4090") == b""
    cache.keep_kernels(KEY, "RTX 4090", b"compiled")
    assert cache.kernels(KEY, "RTX 4090") == b"compiled"
    assert cache.kernels(KEY, "RTX 4080") == b""
    assert cache.kernels(dataclasses.replace(KEY, version="2"), "RTX 4090") == b""
    EngineCache(tmp_path / "nowhere").keep_kernels(KEY, "RTX 4090", b"compiled")
    assert "Compiled kernels cannot be kept in" in caplog.text


def test_folder_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "kp3d" / "engines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "kp3d" / "engines"


def test_of_two_processes_one_builds_and_both_get_the_engine(tmp_path):
    script = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from kp3d_core.inference.engines.nvidia.cache import EngineCache, EngineKey
        folder = Path({str(tmp_path)!r})

        def build(timing):
            (folder / "builds").open("a").write("x")
            time.sleep(0.5)
            return b"plan" * 100_000, b""

        (folder / f"ready{{sys.argv[1]}}").touch()
        while len(list(folder.glob("ready*"))) < 2:
            time.sleep(0.01)
        engine = EngineCache(folder / "cache").get(
            EngineKey("m", "fp32", (1,), "both", "tensorrt", "10", "gpu"), lambda plan: plan, build
        )
        assert engine == b"plan" * 100_000
        """
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, str(i)]) for i in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert (tmp_path / "builds").read_text() == "x"
