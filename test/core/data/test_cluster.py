"""Rendering on a cluster and to a URL: the bytes of this machine, whichever worker dies."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

import pytest

from kp3d_core.data.generate import GenerateSettings, generate
from kp3d_core.data.manifest import read_manifest
from kp3d_core.data.shards import ShardDataset

SETTINGS = GenerateSettings("car", "train", 16, views=24, image_size=64, instances_per_shard=3)
ONE = GenerateSettings("car", "val", 3, views=2, image_size=24, instances_per_shard=2)


@contextmanager
def cluster(workers=2):
    """A scheduler in this process, and workers that nobody restarts."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=0, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=":0"
    ) as local:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", local.scheduler_address,
                   "--no-nanny", "--nthreads", "1", "--no-dashboard"]  # fmt: skip
        started = [
            subprocess.Popen(
                [*command, "--name", str(k)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            for k in range(workers)
        ]
        try:
            yield local, started
        finally:
            for process in started:
                process.kill()
                process.wait()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # what a dying worker leaves behind
def test_a_killed_worker_costs_no_shard_and_doubles_none(tmp_path):
    from distributed import Client

    url, busy = f"file://{tmp_path}/remote", []
    with cluster() as (local, workers):
        with Client(local) as client:
            client.wait_for_workers(2, timeout=60)

        def kill_one(done, total):
            states = local.scheduler.workers.values()
            at_work = sum(len(s.processing) for s in states if str(s.name) == "0")
            if done >= 2 and at_work and not busy:
                busy.append(at_work)
                workers[0].kill()

        address = local.scheduler_address.replace("tcp://", "dask://")
        manifest = generate(SETTINGS, url, cluster=address, on_progress=kill_one)
        assert busy  # one died with work in its hands
        assert workers[0].wait() != 0
        assert workers[1].poll() is None
    alone = generate(SETTINGS, tmp_path / "alone")
    assert manifest.sha256 == alone.sha256
    remote = ShardDataset(tmp_path / "remote", verify=True)
    assert remote.manifest.complete
    keys = [record.key for record in remote]
    assert keys == [f"car-{seed:013d}" for seed in range(16)]
    names = {path.name for path in (tmp_path / "remote").iterdir()}
    assert names == {"manifest.json", *(shard.name for shard in manifest.shards)}


def test_a_url_takes_what_a_folder_takes(tmp_path):
    import fsspec

    folder, url = tmp_path / "folder", "memory://kp3d/set"
    memory = fsspec.filesystem("memory")
    expected = generate(ONE, folder)

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(ONE, url, on_progress=stop)
    first = memory.modified("/kp3d/set/shard-000000.tar")
    assert not memory.exists("/kp3d/set/shard-000001.tar")
    assert generate(ONE, url).sha256 == expected.sha256
    assert memory.modified("/kp3d/set/shard-000000.tar") == first  # not rendered again
    memory.get("/kp3d/set", str(tmp_path / "fetched"), recursive=True)
    assert read_manifest(tmp_path / "fetched").shards == read_manifest(folder).shards
    assert len(list(ShardDataset(tmp_path / "fetched", verify=True))) == 3
    other = GenerateSettings("car", "val", 3, views=3, image_size=24, instances_per_shard=2)
    with pytest.raises(ValueError, match="memory://kp3d/set was made with other settings"):
        generate(other, url)
    memory.pipe("/kp3d/mine/notes.txt", b"mine")
    with pytest.raises(ValueError, match="must be empty or hold an unfinished set.*notes.txt"):
        generate(ONE, "memory://kp3d/mine")


def test_places_and_clusters_that_are_none_are_told(kp3d, tmp_path, monkeypatch):
    monkeypatch.setattr("kp3d_core.data.cluster._TIMEOUT_S", 0.5)
    with pytest.raises(ValueError, match="nowhere://x cannot be opened"):
        generate(ONE, "nowhere://x")
    for address, reason in (
        ("localhost:8786", "cluster must be dask://host:port, got 'localhost:8786'"),
        ("dask://127.0.0.1:9", "A Dask scheduler was expected at dask://127.0.0.1:9"),
    ):
        text = kp3d("render", "--category", "car", "--instances", "1", "--views", "1", "--output",
                    tmp_path / "out", "--cluster", address, code=1)  # fmt: skip
        assert reason in text


def test_a_cluster_without_workers_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("kp3d_core.data.cluster._TIMEOUT_S", 0.5)
    with cluster(workers=0) as (local, _):
        address = local.scheduler_address.replace("tcp://", "dask://")
        with pytest.raises(ValueError, match="must have workers, got none within 0.5 s"):
            generate(ONE, tmp_path / "out", cluster=address)


def test_a_worker_with_other_code_is_refused():
    from kp3d_core.data.generate import _sample_of_worker, procedural_source

    with pytest.raises(ValueError, match="must have the code of kp3d that this machine has"):
        _sample_of_worker(ONE, procedural_source, 0, ("other", "code"))
