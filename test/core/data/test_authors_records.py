"""The authors' TFRecords become shards with the same pictures and exactly the same cameras."""

from __future__ import annotations

import importlib.util
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from kp3d_core.data.authors_records import convert_records, read_record_folder
from kp3d_core.data.cameras import PaperCamera
from kp3d_core.data.generate import GenerateSettings, procedural_source, render_instance
from kp3d_core.data.memory import RandomBatches, load_views
from kp3d_core.data.shards import ShardDataset
from kp3d_core.data.tfrecords import count_records, masked_crc, read_examples

spec = importlib.util.spec_from_file_location(
    "tfrecord_files", Path(__file__).with_name("tfrecord_files.py")
)
made = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made)

CASES = int(os.environ.get("KP3D_FUZZ_CASES", "100"))
OBJECTS, PAIRS, SIZE = 2, 2, 64
NAMES = ("0000", "0001", "0002")


@pytest.fixture(scope="module")
def rendered():
    """Two objects of four views by the paper's camera, for each record."""
    settings = GenerateSettings("car", "train", 6, views=2 * PAIRS, image_size=SIZE)
    seeds = range(OBJECTS * len(NAMES))
    return [render_instance(settings, procedural_source, seed) for seed in seeds]


def _write(folder, rendered, scale=1.0):
    records = {}
    for k, name in enumerate(NAMES):
        content = b""
        for thing in rendered[k * OBJECTS : (k + 1) * OBJECTS]:
            for p in range(PAIRS):
                views = slice(2 * p, 2 * p + 2)
                features = made.pair(thing.rgba[views], thing.T_camera_object[views], scale)
                content += made.record(made.example(features), _fast_crc)
        records[name] = content
    made.write_folder(folder, records, OBJECTS, PAIRS, scale)


def _fast_crc(content):
    import google_crc32c

    return google_crc32c.value(content)


@pytest.fixture(scope="module")
def converted(kp3d, rendered, tmp_path_factory):
    base = tmp_path_factory.mktemp("authors")
    _write(base / "records", rendered)
    text = kp3d("convert-tfrecords", base / "records", "--category", "car", "-o", base / "data")
    return base, text


def test_the_crc_is_crc32c(rendered):
    assert made.crc32c(b"123456789") == 0xE3069283  # RFC 3720 and every catalogue
    for content in (b"", b"123456789", os.urandom(300)):
        assert masked_crc(content) == made.masked(made.crc32c(content))


def test_splits_are_theirs_and_objects_follow_one_another(converted):
    base, text = converted
    assert "2 objects x 4 views" in text
    keys = {}
    for split in ("train", "val", "test"):
        dataset = ShardDataset(base / "data" / split, verify=True)
        assert dataset.manifest.complete
        keys[split] = [record.key for record in dataset]
        assert len(keys[split]) == OBJECTS
    assert len({key for names in keys.values() for key in names}) == 3 * OBJECTS


def test_pictures_arrive_premultiplied(converted, rendered):
    base, _ = converted
    for k, split in enumerate(("train", "val", "test")):
        for n, record in enumerate(ShardDataset(base / "data" / split)):
            original = rendered[k * OBJECTS + n]
            difference = record.rgba.astype(int) - original.rgba
            assert np.abs(difference).max() <= 1  # two roundings
            assert (record.mask == (original.rgba[..., 3] > 127)).all()


@pytest.mark.parametrize("scale", [1.0, 0.8])
def test_points_lie_where_the_authors_project_them(rendered, tmp_path, scale):
    _write(tmp_path / "records", rendered, scale)
    source = read_record_folder(tmp_path / "records")
    convert_records(source, "car", "train", tmp_path / "train")
    f = source.focal_ndc[0]
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))  # ours: x forward, y left, z up
    theirs = scale * np.stack([points[:, 0], points[:, 2], -points[:, 1]], axis=1)
    examples = list(read_examples(tmp_path / "records" / "0000.tfrecord"))
    worst = 0.0
    for n, record in enumerate(ShardDataset(tmp_path / "train")):
        for v in range(2 * PAIRS):
            M = examples[n * PAIRS + v // 2][f"mv{v % 2}"].reshape(4, 4).astype(np.float64)
            x, y, z = M[:3, :3] @ theirs.T + M[:3, 3:]
            u_ndc, v_ndc = -f * x / z, -f * y / z
            expected = np.stack([(u_ndc + 1) * SIZE / 2 - 0.5, (1 - v_ndc) * SIZE / 2 - 0.5], 1)
            uvw = points @ record.T_camera_object[v, :3, :3].T + record.T_camera_object[v, :3, 3]
            uvw = uvw @ record.K[v].T
            worst = max(worst, np.abs(uvw[:, :2] / uvw[:, 2:] - expected).max())
            # And the rendered view was taken by that camera; at a scale, from as much farther away.
            np.testing.assert_allclose(
                record.T_camera_object[v], rendered[n].T_camera_object[v], atol=2e-5
            )
            np.testing.assert_allclose(record.K[v], rendered[n].K[v], rtol=1e-9)
    assert worst < 1e-3
    assert ShardDataset(tmp_path / "train").manifest.camera_settings.distance == 30 / scale


def test_training_takes_them_like_rendered_ones(converted):
    base, _ = converted
    views = load_views(base / "data" / "train", 32)
    assert views.training_distance == 30.0
    assert views.training_focal_px == pytest.approx(PaperCamera().focal_px(32), rel=1e-9)
    batch = RandomBatches(views, 1, 2, 2, seed=0)[0]
    assert batch["rgba"].shape == (2, 2, 32, 32, 4)
    assert batch["rgba"][..., 3].max() == 255


def test_an_interrupted_conversion_is_finished(converted, rendered, tmp_path):
    base, _ = converted
    source = read_record_folder(base / "records", pairs=1)  # every pair for itself

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_records(source, "car", "train", tmp_path / "train", stop)
    manifest = convert_records(source, "car", "train", tmp_path / "train")
    assert (manifest.samples, manifest.views) == (4, 2)
    whole = convert_records(source, "car", "train", tmp_path / "again")
    assert whole.sha256 == manifest.sha256


def _folder(tmp_path, features, **files):
    made.write_folder(tmp_path, {"0000": made.record(made.example(features))}, 1, 1)
    for name, content in files.items():
        (tmp_path / f"{name}.txt").write_text(content)
    return tmp_path


def _png_header(width, height):
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)


def _good(rendered):
    return made.pair(rendered[0].rgba[:2, ::4, ::4], rendered[0].T_camera_object[:2])


def _convert(folder, output):
    source = read_record_folder(folder, pairs=1)
    for split, records in source.splits.items():
        if records:
            convert_records(source, "car", split, output / split)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"img0": _png_header(60_000, 60_000) + b"\0" * 99}, "8 to 512 px, RGBA of 8 bits, got 60"),
        ({"img1": _png_header(16, 16) + b"\0" * 99}, "is damaged"),
        ({"img1": b"GIF89a" + b"\0" * 99}, "must be PNG files"),
        ({"img1": np.zeros(16)}, "img1 of .* must be a PNG image"),
        ({"mv0": np.zeros(15)}, "mv0 of .* must be 16 finite numbers"),
        ({"mv0": np.full(16, np.nan)}, "mv0 of .* must be 16 finite numbers"),
        ({"mvi1": np.eye(4).ravel()}, "mvi1 its inverse"),
        ({"mv0": 2 * np.eye(4).ravel()}, "must be rigid"),
        ({"mv0": np.eye(4).ravel(), "mvi0": np.eye(4).ravel()}, "object before the camera"),
    ],
)
def test_wrong_features_are_told(rendered, tmp_path, change, message):
    folder = _folder(tmp_path / "records", {**_good(rendered), **change})
    with pytest.raises(ValueError, match=message):
        _convert(folder, tmp_path)


def test_wrong_text_files_are_told(rendered, tmp_path):
    good = _good(rendered)
    cases = [
        ({"projection": "1 2 3"}, "16 numbers of an OpenGL projection"),
        ({"job": "a,b\n1,2\n"}, "table with the columns"),
        ({"job": "tfrecord,id,num,args\n0,a,1,--scale 0\n"}, "same number of pairs"),
    ]
    for files, message in cases:
        folder = _folder(tmp_path / "records", good, **files)
        with pytest.raises(ValueError, match=message):
            read_record_folder(folder)
    _folder(tmp_path / "records", good, job="tfrecord,id,num,args\n0,a,3,\n")
    with pytest.raises(ValueError, match="multiple of 3 pairs"):
        read_record_folder(tmp_path / "records")
    with pytest.raises(ValueError, match="between 1 and 500, got 0"):
        read_record_folder(tmp_path / "records", pairs=0)
    with pytest.raises(ValueError, match="must hold the TFRecords of KeypointNet"):
        read_record_folder(tmp_path)


def test_flipped_bits_and_cut_ends_are_refused(rendered, tmp_path):
    path = tmp_path / "x.tfrecord"
    content = made.record(made.example(_good(rendered)))
    for at, reason in ((3, "CRC of its length"), (13, "its CRC does not match")):
        broken = bytearray(content)
        broken[at] ^= 16
        path.write_bytes(content + broken)
        with pytest.raises(ValueError, match=f"damaged record 1: .*{reason}"):
            list(read_examples(path))
    path.write_bytes(content + content[:-1])
    with pytest.raises(ValueError, match="damaged record 1: it ends within"):
        count_records(path)
    huge = struct.pack("<Q", 1 << 60)
    path.write_bytes(huge + struct.pack("<I", made.masked(made.crc32c(huge))))
    for read in (count_records, lambda path: list(read_examples(path))):
        with pytest.raises(ValueError, match="bytes, over"):
            read(path)


def test_damaged_records_are_refused_in_words(rendered, tmp_path):
    """Half of them with CRCs that fit, so that what lies behind is reached."""
    rng = np.random.default_rng(0)
    example = made.example(_good(rendered))
    refused = 0
    for case in range(CASES):
        content = bytearray(example)
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.integers(len(content)))
            if rng.random() < 0.6:
                content[at] = int(rng.integers(256))
            elif rng.random() < 0.5:
                del content[at : at + int(rng.integers(1, 200))]
            else:
                content[at:at] = rng.bytes(8)
        framed = bytearray(made.record(bytes(content), _fast_crc))
        if case % 2:
            framed[int(rng.integers(len(framed)))] ^= 1 << int(rng.integers(8))
        made.write_folder(tmp_path / "records", {"0000": bytes(framed)}, 1, 1)
        try:
            _convert(tmp_path / "records", tmp_path / f"{case}")
        except ValueError:
            refused += 1
    assert refused > CASES / 2
