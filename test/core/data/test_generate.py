"""Rendering of data sets: repeatable, resumable, and honest about what does not fit."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pytest

from kp3d_core.data.cameras import RobotCamera
from kp3d_core.data.generate import GenerateSettings, generate, procedural_source, render_instance
from kp3d_core.data.manifest import read_manifest
from kp3d_core.data.procedural import make_instance
from kp3d_core.data.shards import ShardDataset
from kp3d_core.data.splits import DEFAULT_SPAN, SPLITS, first_seed
from kp3d_core.files import exclusive_lock
from kp3d_core.rendering.rasterizer import render

SETTINGS = GenerateSettings("car", "test", 5, views=2, image_size=24, instances_per_shard=2)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    generate(SETTINGS, folder)
    return folder


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in (".tar", ".json")}


def test_manifest_tells_how_the_set_was_made(unbroken):
    manifest = read_manifest(unbroken)
    assert (manifest.category, manifest.split, manifest.image_size) == ("car", "test", 24)
    assert (manifest.first_seed, manifest.views, manifest.instances) == (20_000_000, 2, 5)
    assert [shard.samples for shard in manifest.shards] == [2, 2, 1]
    assert [shard.first_seed - 20_000_000 for shard in manifest.shards] == [0, 2, 4]
    assert manifest.camera == {"sampling": "paper", "distance": 30.0, "fov_deg": 5.0, "jitter": 0.2}
    assert manifest.complete
    assert "numpy" in manifest.library_versions[0]
    assert manifest.generator != manifest.renderer


def test_images_match_their_cameras(unbroken):
    record = list(ShardDataset(unbroken))[3]
    mesh = make_instance("car", record.seed).mesh
    for view in range(2):
        image = render(mesh, record.K[view], record.T_camera_object[view], 24, 24)
        assert np.array_equal(image.rgb, record.rgba[view, ..., :3])
        assert np.array_equal(image.alpha, record.rgba[view, ..., 3])
        assert np.array_equal(image.mask, record.mask[view])


def test_more_views_begin_with_the_same_views():
    few = render_instance(SETTINGS, procedural_source, 7)
    more = render_instance(replace(SETTINGS, views=4), procedural_source, 7)
    assert np.array_equal(few.rgba, more.rgba[:2])
    assert not np.array_equal(more.rgba[0], more.rgba[2])


def test_processes_do_not_change_the_bytes(unbroken, tmp_path):
    generate(SETTINGS, tmp_path, jobs=2)
    assert contents(tmp_path) == contents(unbroken)


def test_interrupted_run_is_continued_to_the_same_bytes(unbroken, tmp_path):
    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(SETTINGS, tmp_path, on_progress=interrupt)
    assert len(ShardDataset(tmp_path, verify=True)) == 2
    assert not read_manifest(tmp_path).complete
    seen = []
    generate(SETTINGS, tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 5), (3, 5), (4, 5), (5, 5)]
    assert contents(tmp_path) == contents(unbroken)


def test_killed_run_is_continued_to_the_same_bytes(unbroken, tmp_path):
    script = f"""
        from kp3d_core.data.generate import GenerateSettings, generate
        import time
        generate(
            GenerateSettings("car", "test", 5, views=2, image_size=24, instances_per_shard=2),
            {str(tmp_path)!r},
            on_progress=lambda done, total: time.sleep(60 if done == 3 else 0),
        )
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
    partial = tmp_path / ".shard-000001.tar.partial"
    deadline = time.monotonic() + 60
    while not partial.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert partial.exists()
    assert not (tmp_path / "shard-000001.tar").exists()
    assert len(list(ShardDataset(tmp_path, verify=True))) == 2
    generate(SETTINGS, tmp_path)
    assert contents(tmp_path) == contents(unbroken)
    assert not partial.exists()


def test_complete_set_is_left_alone(unbroken):
    before = {p.name: p.stat().st_mtime_ns for p in unbroken.glob("*.tar")}
    generate(SETTINGS, unbroken)
    assert {p.name: p.stat().st_mtime_ns for p in unbroken.glob("*.tar")} == before


def test_set_can_grow(tmp_path):
    small = replace(SETTINGS, instances=2)
    generate(small, tmp_path)
    generate(replace(small, instances=3), tmp_path)
    seeds = [r.seed for r in ShardDataset(tmp_path, verify=True)]
    assert seeds == [20_000_000, 20_000_001, 20_000_002]
    with pytest.raises(ValueError, match="3 instances are there and 1 asked for"):
        generate(replace(small, instances=1), tmp_path)


def test_other_settings_are_refused_with_all_differences(unbroken):
    other = replace(SETTINGS, views=3, image_size=32, camera=RobotCamera())
    with pytest.raises(ValueError, match="made with other settings") as error:
        generate(other, unbroken)
    for part in ("views is 2 there and 3 now", "image_size is 24 there and 32 now", "camera is"):
        assert part in str(error.value)
    assert len(ShardDataset(unbroken, verify=True)) == 5


def test_other_generator_code_is_refused(unbroken, tmp_path):
    content = json.loads((unbroken / "manifest.json").read_text())
    content.update(generator="0123456789abcdef", shards=[])
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="generator is 0123456789abcdef there and"):
        generate(SETTINGS, tmp_path)


def test_folder_with_foreign_files_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="holds holiday.jpg and no manifest.json. Choose an empty"):
        generate(SETTINGS, tmp_path)
    with pytest.raises(ValueError, match="must be a folder, got a file"):
        generate(SETTINGS, tmp_path / "holiday.jpg")


def test_second_writer_is_refused(tmp_path):
    with (
        exclusive_lock(tmp_path),
        pytest.raises(ValueError, match="is being written by another process"),
    ):
        generate(SETTINGS, tmp_path)


def test_unknown_category_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="category must be one of car, chair, mug, plane"):
        generate(replace(SETTINGS, category="boat"), tmp_path / "new")
    assert os.listdir(tmp_path) == []


def test_impossible_settings_are_reported_together(tmp_path):
    with pytest.raises(ValueError, match="Render settings are wrong") as error:
        GenerateSettings("car", "dev", 0, views=0, image_size=4, seed_offset=-1)
    for part in (
        "split must be one of train, val, test, got 'dev'",
        "instances must be between",
        "views must be between 1 and 1000",
        "image_size must be between",
        "seed_offset must be zero or more, got -1",
    ):
        assert part in str(error.value)
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        generate(SETTINGS, tmp_path, jobs=0)


def test_splits_and_offsets_never_share_a_seed():
    ranges = []
    for split in SPLITS:
        start = first_seed(split, DEFAULT_SPAN)
        ranges.append((start, start + DEFAULT_SPAN))  # all that runs without an offset can reach
        for offset in (1, 10**11, 10**12 - 1000):
            start = first_seed(split, 1000, offset)
            ranges.append((start, start + 1000))
    ranges.sort()
    assert all(a[1] <= b[0] for a, b in zip(ranges, ranges[1:], strict=False))
    assert [first_seed(split, 1) for split in SPLITS] == [0, 10_000_000, 20_000_000]


def test_seeds_of_a_split_can_run_out():
    with pytest.raises(ValueError, match="instances must be between 1 and 10,000,000"):
        first_seed("train", DEFAULT_SPAN + 1)
    with pytest.raises(
        ValueError, match="instances must be between 1 and 5 .*seed_offset 999999999995"
    ):
        first_seed("test", 6, 10**12 - 5)


def test_fresh_seeds_give_fresh_instances(tmp_path):
    generate(replace(SETTINGS, instances=1, seed_offset=4711), tmp_path)
    (record,) = ShardDataset(tmp_path)
    assert record.seed == 3 * 10**12 + 4711
